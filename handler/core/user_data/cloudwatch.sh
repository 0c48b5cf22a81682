# cloudwatch_agent SETTINGS: early, so that it also carries away what fails later.
cloudwatch_agent() {
  local home=$root/opt/aws/amazon-cloudwatch-agent
  packages amazon-cloudwatch-agent
  mkdir -p "$home/etc"
  printf '%s\n' "$1" >"$home/etc/tower-forge.json"
  "$home/bin/amazon-cloudwatch-agent-ctl" -a fetch-config -m ec2 -s -c "file:$home/etc/tower-forge.json"
}
