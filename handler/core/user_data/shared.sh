# shared PATH LINE: mounts at PATH what LINE says in /etc/fstab, which also mounts it after a reboot.
shared() {
  local path=$1 line=$2 point=$root$1
  add_lines "$root/etc/fstab" "$line"
  if mountpoint --quiet "$point"; then return 0; fi
  mkdir -p "$point"
  # While nothing is mounted here, nothing can be written here: a job fails instead of losing its data.
  chattr +i "$point" || echo "$path cannot be made immutable"
  # A file system that is made together with this instance takes some minutes to answer.
  retry 30 20 timeout 30 mount "$point"
  # A new file system belongs to root, but jobs may run as anybody.
  if [[ -z $(ls -A "$point") ]]; then chmod 1777 "$point"; fi
}
