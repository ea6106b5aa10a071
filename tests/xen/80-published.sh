#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish --to xl+ssh://, with --start, to a dom0 as people have one: a whole Debian with Xen's packages and its sshd, run by
# Xen inside QEMU. The image arrives, xl makes a domain of the configuration that came with it, and Apache in it answers.
# (Not run yet.)
# time limit: 3600
set -eu
# shellcheck source=tests/xen/common.sh
. tests/xen/common.sh
bt_need mke2fs ssh ssh-keygen
xt_begin
xt_copy		# publish.json comes beside it
image=$XT_BROKEN
trap 'kill "${XT_QEMU-}" 2>/dev/null || :; rm -rf "$XT_DIR"' EXIT

bt_say "== a dom0 is built"
mkdir -p "$XT_DIR/recipes" "$XT_DIR/work/images" "$XT_DIR/bin"
cp -R recipes/base "$XT_DIR/recipes/"
cp -R overlays "$XT_DIR/"
cat >"$XT_DIR/recipes/dom0.yaml" <<END
base: debian
flavor: { memory: 2GiB, vcpus: 1, disk: 6GiB }
packages:
$(for p in linux-image-amd64 xen-utils-4.17 xenstore-utils qemu-system-xen ipxe-qemu openssh-server iproute2; do echo "  - $p"; done)
END
"$PVIMG" build dom0 --recipes "$XT_DIR/recipes" --no-verify --out "$XT_DIR" >"$TMP/build" 2>&1 || {
	tail -5 "$TMP/build"
	bt_skip "no Debian with Xen's packages can be built here"
}
dom0=$XT_DIR/dom0/dom0.raw

# on its second disk: keys, a folder for images, and what the guest's card and Apache are asked with
ssh-keygen -q -t ed25519 -N '' -f "$XT_DIR/key"
ssh-keygen -q -t ed25519 -N '' -f "$XT_DIR/work/hostkey"
cp "$XT_DIR/key.pub" "$XT_DIR/work/authorized"
cp scripts/dom0/net "$XT_DIR/work/"
cat >"$TMP/run" <<'END'
#!/bin/sh
# In dom0. Each line that begins with "::" is read by the test.
mount LABEL=WORK /mnt || exit 1
say() { echo ":: $*" >/dev/hvc0; }
exec >/mnt/log 2>&1
cd /mnt
export PATH="$PATH:/usr/sbin:/sbin" HOME=/root
systemctl start xen || service xen start
say "xen $(xl info | sed -n 's/^xen_version *: //p')"
for dev in /sys/class/net/*; do
	dev=${dev##*/}
	case $dev in lo|vif*|xenbr*) continue ;; esac
	ip addr add 10.0.2.15/24 dev "$dev"
	ip link set "$dev" up
done
ip link add xenbr0 type bridge && ip addr add 10.77.0.1/24 dev xenbr0 && ip link set xenbr0 up
mkdir -p /run/sshd
chown root:root /mnt /mnt/authorized /mnt/hostkey
chmod 600 /mnt/hostkey
/usr/sbin/sshd -o PermitRootLogin=prohibit-password -o AuthorizedKeysFile=/mnt/authorized -o HostKey=/mnt/hostkey -o StrictModes=no
say ready
# one domain after the other, until one answers: its address is given to whatever card it has
served=
until=$(($(date +%s) + 3000))
while [ "$(date +%s)" -lt "$until" ]; do
	sleep 3
	mac=$(xl network-list debian-2g 2>/dev/null | sed -n '2s/.*\(00:16:3e:[0-9a-f:]*\).*/\1/p')
	[ -n "$mac" ] || continue
	if [ "$mac" != "$served" ]; then
		[ -z "$served" ] || kill "$server"
		perl net serve xenbr0 10.77.0.1 10.77.0.2 "$mac" &
		server=$! served=$mac
	fi
	perl net http 10.77.0.2 80 /healthz >http
	grep -q '^HTTP/1.1 200' http && break
done
say "http $(head -1 http | tr -d '\r')"
say "disks $(xl block-list debian-2g | sed 1d | wc -l)"
say "target $(sed -n 's/^disk = .*target=\(.*\)" \]$/\1/p' images/debian-2g.cfg)"
xl destroy debian-2g
tail -25 log | while read -r line; do say "log $line"; done
say end
sync
poweroff -f
END
truncate -s 8G "$XT_DIR/work.img"
mke2fs -q -t ext4 -L WORK -d "$XT_DIR/work" "$XT_DIR/work.img" || bt_fail "mke2fs -d"

offset=$(bt_root_offset "$dom0")
XT_FS="$dom0?offset=$offset"
xt_put "$TMP/run" /usr/local/sbin/xl-test 755
inside() { debugfs -R "$1" "$dom0?offset=$offset" 2>/dev/null; }
kernel=$(inside 'ls -p /boot' | awk -F/ '$6 ~ /^vmlinuz-.*[0-9]-amd64$/ { print $6 }' | sed 's/^vmlinuz-//')
[ -n "$kernel" ] || bt_fail "no kernel for dom0 in it"
inside "dump /boot/vmlinuz-$kernel $XT_DIR/vmlinuz"
inside "dump /boot/initrd.img-$kernel $XT_DIR/initrd"
xen=$(find "$XDG_CACHE_HOME/pvimg/dom0" -name xen.elf | head -1)
[ -n "$xen" ] || bt_fail "no Xen in the cache: run a verification first"

bt_say "== dom0 with Debian's kernel $kernel"
port=$(shuf -n 1 -i 20000-39999)
qemu-img create -q -f qcow2 -F raw -b "$dom0" "$XT_DIR/dom0.qcow2"
qemu-system-x86_64 -M pc,usb=off -accel tcg,thread=multi,tb-size=1024 -cpu qemu64,+svm,+npt -smp 2 -m 5G -nodefaults \
	-no-user-config -display none -no-reboot -kernel "$xen" \
	-append "console=com1 com1=115200,8n1 dom0_mem=1536M,max:1536M dom0_max_vcpus=1 noreboot=1 bootscrub=0 guest_loglvl=info" \
	-initrd "$XT_DIR/vmlinuz root=/dev/vda1 ro console=hvc0 systemd.run=/usr/local/sbin/xl-test,$XT_DIR/initrd" -serial "file:$TMP/serial" \
	-drive "if=none,id=a,format=qcow2,file=$XT_DIR/dom0.qcow2,cache=unsafe" -device virtio-blk-pci,drive=a \
	-drive "if=none,id=b,format=raw,file=$XT_DIR/work.img,cache=unsafe" -device virtio-blk-pci,drive=b \
	-netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=n \
	>"$TMP/qemu" 2>&1 &
XT_QEMU=$!
# said LINE SECONDS: waits for it
said() {
	i=0
	until tr -d '\r' <"$TMP/serial" 2>/dev/null | grep -q "^.*:: $1\$"; do
		kill -0 "$XT_QEMU" 2>/dev/null || break
		i=$((i + 3))
		[ "$i" -lt "$2" ] || break
		sleep 3
	done
	tr -d '\r' <"$TMP/serial" | sed -n 's/^.*:: //p' >"$TMP/said"
	grep -qx "$1" "$TMP/said" || { tail -30 "$TMP/serial"; bt_fail "dom0 does not say '$1' within $2 s"; }
}
said ready 600

bt_say "== debian-2g is published, and started"
cat >"$XT_DIR/bin/ssh" <<END
#!/bin/sh
exec $(command -v ssh) -F /dev/null -i "$XT_DIR/key" -oUserKnownHostsFile="$XT_DIR/known_hosts" -oHostKeyAlias=dom0 "\$@"
END
chmod 755 "$XT_DIR/bin/ssh"
printf 'dom0 %s\n' "$(cut -d' ' -f1,2 "$XT_DIR/work/hostkey.pub")" >"$XT_DIR/known_hosts"
# Emulation may kill a sound guest (ARCHITECTURE.md, "Stumbles")
for try in 1 2 3; do
	rc=0
	PATH="$XT_DIR/bin:$PATH" "$PVIMG" publish "$image" --to "xl+ssh://root@127.0.0.1:$port/mnt/images" --unverified \
		--memory 768MiB --start --deadline 600 --json >"$TMP/result" 2>"$TMP/publish" || rc=$?
	[ "$rc" -ne 0 ] || break
	bt_say "note: try $try: $(tail -1 "$TMP/publish")"
done
tail -5 "$TMP/publish"
bt_is "pvimg publish --start: exit status" "$rc" 0
[ "$rc" -eq 0 ] || bt_fail "no domain to ask"
sum=$(sha256sum "$image")
said end 1200
cat "$TMP/said"
bt_is "Apache in the domain answers" "$(sed -n 's/^http //p' "$TMP/said")" "HTTP/1.1 200 OK"
bt_is "one disk" "$(sed -n 's/^disks //p' "$TMP/said")" 1
bt_is "its configuration names the image" "$(sed -n 's/^target //p' "$TMP/said")" "/mnt/images/debian-2g-$(printf %.12s "$sum").raw"
xt_end
