#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A dom0 as people have one: a whole Debian with Xen's packages, made by pvimg, run by Xen inside QEMU. In it pvimg verifies
# debian-2g with the driver xl, which auto takes by itself; and xl saves and restores a guest of the same image, which goes on
# where it was: the same boot, what memcached held, its PV disk and card.
# time limit: 3600
set -eu
# shellcheck source=tests/xen/common.sh
. tests/xen/common.sh
# shellcheck source=tests/boot/guest.sh
. tests/boot/guest.sh
bt_need mformat mcopy mke2fs ldd make
xt_begin
trap 'bt_halt; rm -rf "$XT_DIR"' EXIT

bt_say "== a dom0 is built"
mkdir -p "$XT_DIR/recipes" "$XT_DIR/work"
cp -R recipes/base "$XT_DIR/recipes/"
cp -R overlays "$XT_DIR/"
# what pvimg is linked with, by the packages that have it
libs=$(ldd "$PVIMG" | awk '$3 ~ /^\// { print $3 }' | xargs readlink -f | xargs dpkg -S 2>/dev/null | sed 's/:.*//' | sort -u)
cat >"$XT_DIR/recipes/dom0.yaml" <<END
base: debian
flavor: { memory: 2GiB, vcpus: 1, disk: 6GiB }
packages:
$(for p in linux-image-amd64 xen-utils-4.17 xenstore-utils qemu-system-xen ipxe-qemu qemu-utils mtools dosfstools \
	openssh-client iproute2 $libs; do echo "  - $p"; done)
END
"$PVIMG" build dom0 --recipes "$XT_DIR/recipes" --no-verify --out "$XT_DIR" >"$TMP/build" 2>&1 || {
	tail -5 "$TMP/build"
	bt_skip "no Debian with Xen's packages can be built here"
}
dom0=$XT_DIR/dom0/dom0.raw

bt_say "== it gets pvimg, the image and a script"
make -s install DESTDIR="$XT_DIR/work" PREFIX=/pvimg >"$TMP/install" 2>&1 || bt_fail "make install: $(tail -1 "$TMP/install")"
cp "${XT_IMAGE%/*}/manifest.json" "$XT_DIR/work/"
ssh-keygen -q -t ed25519 -N '' -f "$XT_DIR/work/key"
bt_seed "$XT_DIR/work/seed.img" saved "$(cat "$XT_DIR/work/key.pub")"
cat >"$XT_DIR/work/guest.cfg" <<'END'
name = "saved"
type = "hvm"
memory = 768
vcpus = 2
vga = "stdvga"
nographic = 1
vnc = 0
tsc_mode = "native"
disk = [ "format=qcow2,vdev=sda,access=rw,backendtype=qdisk,target=/mnt/disk.qcow2",
         "format=raw,vdev=xvde,access=rw,backendtype=qdisk,target=/mnt/seed.img" ]
vif = [ "mac=00:16:3e:77:00:02,bridge=xenbr0" ]
END
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
ln -s /dev/vdc debian-2g.raw
ln -s /mnt/pvimg /pvimg	# where it says that its data are

# Emulation may kill a sound guest (ARCHITECTURE.md, "Stumbles"); the driver xl has no second tries of its own.
mkdir out
for try in 1 2 3; do
	rc=0
	/mnt/pvimg/bin/pvimg verify /mnt/debian-2g.raw --format raw --no-load --cache /mnt/cache --out /mnt/out \
		--deadline 600 >verify.log 2>&1 || rc=$?
	[ "$rc" -eq 5 ] && grep -q 'did not boot' verify.log || break
	say "note: verify, try $try: $(tail -1 verify.log)"
done
say "verify exit $rc"
while read -r line; do say "verify $line"; done <verify.log
say "left domains $(xl list | sed 1,2d | wc -l) bridges $(ip -o link show type bridge | wc -l) qemu $(pgrep -fc 'qemu-system.*pvimg')"

set -- -i /mnt/key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
	-o ConnectTimeout=20 tester@10.77.0.2
qemu-img create -q -f qcow2 -F raw -b /dev/vdc disk.qcow2 5G
ip link add xenbr0 type bridge && ip addr add 10.77.0.1/24 dev xenbr0 && ip link set xenbr0 up
net=/mnt/pvimg/share/pvimg/scripts/dom0/net
"$net" serve xenbr0 10.77.0.1 10.77.0.2 00:16:3e:77:00:02 &
guest() { timeout 120 ssh "$@"; }
state() {
	d=$(xl domid saved)
	xenstore-ls -f /local/domain/0/backend | sed -n "s,^/local/domain/0/backend/\(v[a-z]*\|qdisk\)/$d/.*/state = \"\(.*\)\",\1 \2,p" | sort | uniq -c | tr -s ' \n' ' '
}
for try in 1 2 3; do
	xl create guest.cfg
	until=$(($(date +%s) + 240))
	while [ "$(date +%s)" -lt "$until" ] && ! guest "$@" true; do sleep 5; done
	guest "$@" true && break
	say "note: the guest, try $try: no login"
	[ "$try" -eq 3 ] || { xl destroy saved; qemu-img create -q -f qcow2 -F raw -b /dev/vdc disk.qcow2 5G; }
done
guest "$@" 'exec 3<>/dev/tcp/127.0.0.1/11211; printf "set k 0 0 5\r\nhello\r\n" >&3; read -r x <&3; cat /proc/sys/kernel/random/boot_id' >before
say "before $(cat before) $(state)"
date +%s >t0
xl save saved /mnt/saved.state
say "save exit $? seconds $(($(date +%s) - $(cat t0))) listed $(xl list | grep -c '^saved ')"
date +%s >t0
xl restore /mnt/saved.state
rc=$?
say "restore exit $rc seconds $(($(date +%s) - $(cat t0)))"
[ "$rc" -eq 0 ] || tail -n 5 /var/log/xen/qemu-dm-saved* >>log
until=$(($(date +%s) + 120))
while [ "$(date +%s)" -lt "$until" ] && ! guest "$@" true; do sleep 5; done
guest "$@" 'exec 3<>/dev/tcp/127.0.0.1/11211; printf "get k\r\n" >&3; read -r x <&3; read -r x <&3; echo "memcached ${x%?}" >&2; sync; sudo dd if=/dev/xvda of=/dev/null bs=1M count=8 iflag=direct status=none && echo "disk ok" >&2; cat /proc/sys/kernel/random/boot_id' >after 2>after.more
say "after $(cat after) $(state)"
while read -r line; do say "guest $line"; done <after.more
say "http $("$net" http 10.77.0.2 80 /healthz | head -1 | tr -d "\r")"
xl destroy saved
grep -v '^ssh:' log | tail -25 | while read -r line; do say "log $line"; done
say end
sync
poweroff -f
END
truncate -s 6G "$XT_DIR/work.img"
mke2fs -q -t ext4 -L WORK -d "$XT_DIR/work" "$XT_DIR/work.img" || bt_fail "mke2fs -d"

# Xen and dom0's kernel as their packages have them; Xen's ELF is what QEMU loads.
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
qemu-img create -q -f qcow2 -F raw -b "$dom0" "$XT_DIR/dom0.qcow2"
qemu-system-x86_64 -M pc,usb=off -accel tcg,thread=multi,tb-size=1024 -cpu qemu64,+svm,+npt -smp 2 -m 5G -nodefaults \
	-no-user-config -display none -no-reboot -kernel "$xen" \
	-append "console=com1 com1=115200,8n1 dom0_mem=1536M,max:1536M dom0_max_vcpus=1 noreboot=1 bootscrub=0 guest_loglvl=info" \
	-initrd "$XT_DIR/vmlinuz root=/dev/vda1 ro console=hvc0 systemd.run=/usr/local/sbin/xl-test,$XT_DIR/initrd" -serial "file:$TMP/serial" \
	-drive "if=none,id=a,format=qcow2,file=$XT_DIR/dom0.qcow2,cache=unsafe" -device virtio-blk-pci,drive=a \
	-drive "if=none,id=b,format=raw,file=$XT_DIR/work.img,cache=unsafe" -device virtio-blk-pci,drive=b \
	-drive "if=none,id=c,format=raw,file=$XT_IMAGE,readonly=on" -device virtio-blk-pci,drive=c \
	>"$TMP/qemu" 2>&1 &
BT_QEMU=$!
i=0
while kill -0 "$BT_QEMU" 2>/dev/null && [ "$i" -lt "${PVIMG_LIMIT:-2400}" ]; do
	i=$((i + 5))
	sleep 5
	grep -q '^:: end' "$TMP/serial" 2>/dev/null && break
done
tr -d '\r' <"$TMP/serial" | sed -n 's/^.*:: //p' >"$TMP/said"
cat "$TMP/said"
grep -qx end "$TMP/said" || { tail -30 "$TMP/serial"; bt_fail "dom0 did not come to its end in $i s"; }
said() { sed -n "s/^$1 //p" "$TMP/said"; }
bt_is "pvimg verify --driver auto: exit status" "$(said 'verify exit')" 0
grep -q '^verify.*PVHVM' "$TMP/said" || bt_is "the verdict" "" PVHVM
bt_is "domain, bridge and device model are gone" "$(said left)" "domains 0 bridges 0 qemu 0"
bt_is "xl save" "$(said 'save exit' | cut -d' ' -f1)" 0
bt_is "xl restore" "$(said 'restore exit' | cut -d' ' -f1)" 0
before=$(said before) after=$(said after)
bt_is "the same boot goes on, its disk and card connected" "$after" "$before"
bt_is "memcached held what it held" "$(said 'guest memcached')" hello
bt_is "its disk is read" "$(said 'guest disk')" ok
bt_is "Apache answers" "$(said http)" "HTTP/1.1 200 OK"
xt_end
