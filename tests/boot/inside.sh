# SPDX-License-Identifier: Apache-2.0
# Runs inside a guest as root (bash, over ssh) and prints name=value lines; tests/boot/guest.sh judges them.
# shellcheck shell=bash
export LC_ALL=C
timeout 150 cloud-init status --wait >/dev/null 2>&1
timeout 60 systemctl is-system-running --wait >/dev/null 2>&1
echo "cloudinit=$(cloud-init status 2>&1 | head -1)"
echo "failed=$(systemctl --failed --no-legend --plain | awk '{ print $1 }' | paste -sd' ')"
echo "hostname=$(hostname)"
echo "route_dev=$(ip -4 route show default | awk '{ for (i = 1; i < NF; i++) if ($i == "dev") print $(i + 1) }' | head -1)"
src=$(findmnt -no SOURCE /)
part=$(lsblk -bdno SIZE "$src")
disk=$(lsblk -bdno SIZE "/dev/$(lsblk -dno PKNAME "$src")")
fs=$(($(stat -fc '%b * %S' /)))
# Grown: the partition ends near the disk's end, and the file system fills it but for its own tables.
if [ $((disk - part)) -lt $((600 << 20)) ] && [ $((part - fs)) -lt $((part / 16)) ]; then
	echo grown=yes
else
	echo "grown=no: disk $disk, partition $part, file system $fs"
fi
echo "fstab_root=$(awk '$2 == "/" { sub(/=.*/, "", $1); print $1 }' /etc/fstab)"
if [ -d /sys/firmware/efi ]; then echo firmware=uefi; else echo firmware=bios; fi
exec 3<>/dev/tcp/127.0.0.1/11211 && {
	printf 'set pvimg 0 60 5\r\nhello\r\nget pvimg\r\nquit\r\n' >&3
	echo "memcached=$(timeout 10 cat <&3 | tr -d '\r' | sed -n '/^STORED/p; /^hello/p' | paste -sd' ')"
}
echo "memcached_listen=$(ss -H -lntu | awk '$5 ~ /:11211$/ { print $5 "/" $1 }' | sort | paste -sd' ')"
echo "mpm=$(apachectl -M 2>/dev/null | sed -n 's/.*mpm_\([a-z]*\)_module.*/\1/p')"
echo "ssh_password=$(sshd -T 2>/dev/null | awk '$1 == "passwordauthentication" { print $2 }')"
echo "root_lock=$(passwd -S root | awk '{ print $2 }')"
if [ -n "$(find /etc/ssh -name 'ssh_host_*_key' -newer /etc/os-release | head -1)" ] &&
	[ "$(stat -c %Y /etc/ssh/ssh_host_ed25519_key)" -ge "$(($(date +%s) - $(cut -d. -f1 /proc/uptime) - 5))" ]; then
	echo hostkeys=fresh
else
	echo "hostkeys=$(find /etc/ssh -name '*key' | paste -sd' ')"
fi
echo "chrony=$(systemctl is-active chrony)"
echo "sources_local=$(grep -rhE '^[^#]*(file:|copy:|127\.0\.0\.1|localhost|@)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
	head -1 | sed 's/^/found: /' | grep . || echo none)"
# Every suite named is this release's: its codename, or that with a pocket.
codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
echo "sources_suites=$({ sed -n 's/\[[^]]*\]//; s/^deb  *[^ ]*  *\([^ ]*\) .*/\1/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list
	sed -n 's/^Suites: *//p' /etc/apt/sources.list.d/*.sources; } 2>/dev/null | tr -s ' ' '\n' | sort -u |
	awk -v c="$codename" '{ n++ } $0 != c && index($0, c "-") != 1 { bad = bad " " $0 } END { print n && !bad ? "good" : "bad:" bad }')"
echo "audit=$(dpkg --audit | head -1)"
echo "machine_id=$(cat /etc/machine-id)"
echo "kernel=$(uname -r)"
echo "cmdline=$(cat /proc/cmdline)"
echo "memory=$(awk '/MemAvailable/ { print $2 }' /proc/meminfo) KiB available"
echo "analyze=$(systemd-analyze 2>/dev/null | head -1)"
echo end=yes
