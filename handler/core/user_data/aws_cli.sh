# aws_cli MACHINE VERSION SHA256: Nextflow mounts the grandparent of the aws command into each job's container, so it must
# bring its own Python and libraries. AWS's archive does. Nothing of it is unpacked or run before its hash is checked.
aws_cli() {
  local prefix=$root/home/ec2-user/miniconda folder
  # An image may have it already.
  if "$prefix/bin/aws" --version; then return 0; fi
  packages unzip
  folder=$(mktemp -d)
  retry 5 15 download "https://awscli.amazonaws.com/awscli-exe-linux-$1-$2.zip" "$3" "$folder/aws.zip"
  unzip -q "$folder/aws.zip" -d "$folder"
  rm -rf "$prefix/dist"
  mkdir -p "$prefix/bin"
  mv "$folder/aws/dist" "$prefix/dist"
  rm -rf "$folder"
  # Small containers lack libz, which is in the archive but is looked for in the system.
  printf '%s\n' '#!/bin/bash' "LD_LIBRARY_PATH=$prefix/dist exec $prefix/dist/aws \"\$@\"" >"$prefix/bin/aws"
  chmod 755 "$prefix/bin/aws"
  "$prefix/bin/aws" --version
}

# download URL SHA256 FILE
download() {
  curl --fail --silent --show-error --location --proto '=https' --output "$3" "$1" || return 1
  sha256sum --check --status <<<"$2  $3" || {
    echo "$1 does not have the SHA-256 $2"
    return 1
  }
}
