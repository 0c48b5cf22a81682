# ecs_settings LINE...: Batch adds the cluster's name to the same file, so it is never written anew.
ecs_settings() {
  mkdir -p "$root/etc/ecs"
  add_lines "$root/etc/ecs/ecs.config" "$@"
}
