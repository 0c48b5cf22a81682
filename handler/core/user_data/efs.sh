# efs ID PATH
efs() {
  packages amazon-efs-utils
  shared "$2" "$1:/ $2 efs _netdev,nofail,noresvport,tls 0 0"
}
