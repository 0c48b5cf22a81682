# nvme_scratch: the instance's NVMe disks, several as one striped volume, carry Fusion's cache.
nvme_scratch() {
  local listed disks device
  # The name of a disk does not tell an instance store from an EBS volume; its model does.
  listed=$(lsblk --nodeps --noheadings --paths --output NAME,MODEL)
  mapfile -t disks < <(awk '/Amazon EC2 NVMe Instance Storage/ { print $1 }' <<<"$listed")
  case ${#disks[@]} in
    0)
      echo 'this instance has no NVMe disk: the cache is on the root volume'
      return 1
      ;;
    1) device=${disks[0]} ;;
    *)
      device=/dev/scratch_fusion/volume
      packages lvm2
      pvcreate --yes --force "${disks[@]}"
      vgcreate --yes scratch_fusion "${disks[@]}"
      lvcreate --yes --wipesignatures y --name volume --stripes "${#disks[@]}" --extents 100%FREE scratch_fusion
      ;;
  esac
  mkfs.xfs -f -L fusion "$device"
  mkdir -p "$root/scratch/fusion"
  # The disks outlive a reboot, but their names may change.
  add_lines "$root/etc/fstab" 'LABEL=fusion /scratch/fusion xfs defaults,noatime,nofail 0 2'
  mount -o noatime "$device" "$root/scratch/fusion"
}
