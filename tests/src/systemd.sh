# Starts a systemd in namespaces of its own, on a copy of the root file system that is thrown away.
# Arguments: an empty folder, the unit, its drop-in, the program and its configuration.
set -e
folder=$1 unit=$2 dropin=$3 program=$4 configuration=$5
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
root=$folder/root
mkdir "$folder/upper" "$folder/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
cp "$program" "$root/usr/local/bin/nodeprobe"
cp "$configuration" "$root/etc/nodeprobe.toml"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
# Without tracefs typed programs are used where the kernel has both.
mount -t tracefs tracefs "$root/sys/kernel/tracing" || true
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
units=$root/run/systemd/system
mkdir -p "$units/nodeprobe.service.d"
cp "$unit" "$units/nodeprobe.service"
cp "$dropin" "$units/nodeprobe.service.d/test.conf"
# Only the cgroups of this namespace.
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
cd "$root"
mkdir old
pivot_root . old
umount -l /old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=nodeprobe.service --log-target=console --show-status=0
