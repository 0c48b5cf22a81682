# aws_cli ARCHITECTURE: Nextflow mounts the grandparent of the aws command into each job's container, so it must
# bring its own Python and libraries, as in a Conda prefix.
aws_cli() {
  local prefix=$root/home/ec2-user/miniconda installer
  # An image may have it already.
  if "$prefix/bin/aws" --version; then return 0; fi
  installer=$(mktemp)
  curl --fail --silent --show-error --location --retry 5 --retry-connrefused --output "$installer" \
    "https://repo.anaconda.com/miniconda/Miniconda3-latest-Linux-$1.sh"
  bash "$installer" -b -f -p "$prefix"
  rm -f "$installer"
  # Without Anaconda's own channels, whose terms would have to be accepted.
  retry 5 15 "$prefix/bin/conda" install --yes --quiet --override-channels --channel conda-forge awscli
  "$prefix/bin/aws" --version
}
