#!/bin/bash
# Prepares an instance for Nextflow's jobs, once, in cloud-init's last stage. The ECS agent starts after that
# stage: nothing here starts, stops or waits for Docker or the agent.

set -u -o pipefail
umask 022
export HOME=/root

# Empty on an instance; a test puts its own folder here.
root=${TOWER_FORGE_ROOT:-}

# What is printed also reaches cloud-init's log and the console.
exec > >(tee -a "$root/var/log/tower-forge.log") 2>&1

failed=()
unfit=0

say() {
  echo "$(date -u +%FT%TZ) $*"
  logger --tag tower-forge -- "$*"
}

# step NAME FUNCTION [ARGUMENT...]: a step that fails is named, and the next one goes on.
step() {
  local name=$1 code
  shift
  say "$name"
  # Not in a condition: there bash would ignore set -e.
  (
    set -e
    "$@"
  )
  code=$?
  if ((code != 0)); then
    failed+=("$name")
    say "failed with exit code $code: $name"
  fi
}

# vital_step NAME FUNCTION [ARGUMENT...]: a step without which no job may run here.
vital_step() {
  local before=${#failed[@]}
  step "$@"
  ((${#failed[@]} == before)) || unfit=1
}

# retry TIMES SECONDS COMMAND [ARGUMENT...]
retry() {
  local times=$1 pause=$2 try
  shift 2
  for ((try = 1; ; try++)); do
    if "$@"; then return 0; fi
    if ((try >= times)); then return 1; fi
    echo "try $try of $times failed: $*"
    sleep "$pause"
  done
}

# add_lines FILE LINE...: only what is not there yet, as in an image made of such an instance.
add_lines() {
  local file=$1 line
  shift
  # A last line without an end would run into ours.
  if [[ -s $file && -n $(tail -c 1 "$file") ]]; then echo >>"$file"; fi
  for line in "$@"; do
    grep -qxF -e "$line" "$file" 2>/dev/null || printf '%s\n' "$line" >>"$file"
  done
}

# packages NAME...
packages() {
  local tool=dnf
  if rpm --query --quiet "$@"; then return 0; fi
  command -v dnf >/dev/null || tool=yum # Amazon Linux 2
  retry 5 15 "$tool" --assumeyes --quiet install "$@"
}

# finish: the last call. Its exit code is what cloud-init reports.
finish() {
  local names
  if ((${#failed[@]} == 0)); then
    say 'ready'
    exit 0
  fi
  printf -v names ', %s' "${failed[@]}"
  say "failed: ${names:2}"
  if ((unfit)); then
    # A job would fail, or write to the root volume instead, and nobody would know before the data are gone.
    say 'no job may run on this instance: its ECS agent stays off, and so does the instance, in two minutes'
    systemctl mask --now --no-block ecs
    # Two minutes, so that the log gets out. The instance's group then starts another.
    shutdown -h +2
  fi
  exit 1
}
