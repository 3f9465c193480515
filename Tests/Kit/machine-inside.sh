#!/bin/sh
# Makes a lab machine's mounts in namespaces that vanish with it, and becomes systemd-nspawn.
#   machine-inside.sh NAME FOLDER LOWER [NSPAWN OPTION...]        (called by kit/machine.py)
# LOWER: folders for overlayfs, the top one first. FOLDER has empty folders fs and root.
set -eu
if [ "${1:-}" != --inside ]; then
  # nspawn as pid 1 of an outer pid namespace: whatever kills it kills the whole machine, and leaves no orphan.
  exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc /bin/sh "$0" --inside "$@"
fi
name=$2 folder=$3 lower=$4
shift 4
root=$folder/root

mount -t tmpfs -o mode=755 baton-lab "$folder/fs"
mkdir "$folder/fs/upper" "$folder/fs/work"
mount -t overlay baton-lab -o "lowerdir=$lower,upperdir=$folder/fs/upper,workdir=$folder/fs/work" "$root"
# nspawn wants a folder of its own below /run/systemd, on a tmpfs; the host's /run may be none.
mkdir -p /run/systemd
mount -t tmpfs baton-lab /run/systemd

echo "$name" >"$root/etc/hostname"
printf '127.0.0.1 localhost %s\n::1 localhost\n' "$name" >"$root/etc/hosts"
# Without this dbus's file wins, and every machine is the same one.
rm -f "$root/var/lib/dbus/machine-id" "$root/etc/machine-id"
: >"$root/etc/machine-id"

# The machine's own /proc/sys/net may be written; the machine is nobody's guest: no machined, no unit of the host.
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
exec systemd-nspawn --quiet --directory="$root" --machine="$name" --uuid="$(cat /proc/sys/kernel/random/uuid)" \
  --register=no --keep-unit --console=pipe --private-network --link-journal=no --kill-signal=SIGRTMIN+3 \
  --system-call-filter=@keyring "$@" /sbin/baton-lab-init systemd.unit=baton-lab.target
