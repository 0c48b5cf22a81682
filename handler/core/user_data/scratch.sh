# scratch_folder: Fusion's cache. Jobs see it as /tmp, whoever they run as.
scratch_folder() {
  mkdir -p "$root/scratch/fusion"
  chmod 1777 "$root/scratch/fusion"
}
