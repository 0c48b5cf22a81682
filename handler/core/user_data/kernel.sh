# kernel_settings: dirty pages are written back early. By default they may fill a share of the memory, and jobs
# that write much are killed for it.
kernel_settings() {
  local file=$root/etc/sysctl.d/99-tower-forge.conf
  mkdir -p "$root/etc/sysctl.d"
  printf '%s\n' 'vm.dirty_bytes = 1258291200' 'vm.dirty_background_bytes = 629145600' >"$file"
  sysctl --load="$file"
}
