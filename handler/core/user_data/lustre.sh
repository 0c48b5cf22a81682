# lustre DNS-NAME MOUNT-NAME PATH
lustre() {
  if command -v amazon-linux-extras >/dev/null; then # Amazon Linux 2
    retry 5 15 amazon-linux-extras install -y lustre
  else
    packages lustre-client
  fi
  shared "$3" "$1@tcp:/$2 $3 lustre _netdev,nofail,relatime,flock 0 0"
}
