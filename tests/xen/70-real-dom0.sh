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
# shellcheck source=tests/xen/dom0.sh
. tests/xen/dom0.sh
bt_need mformat mcopy mke2fs ldd make
xt_begin
trap 'kill "${XD_QEMU-}" 2>/dev/null || :; rm -rf "$XT_DIR"' EXIT

# with what pvimg is linked with, by the packages that have it
# shellcheck disable=SC2046  # a list of packages
xd_build qemu-utils mtools dosfstools openssh-client $(ldd "$PVIMG" | awk '$3 ~ /^\// { print $3 }' | xargs readlink -f |
	xargs dpkg -S 2>/dev/null | sed 's/:.*//' | sort -u)

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
xd_script >"$TMP/run" <<'END'
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
END
xd_start "$TMP/run" 6G -drive "if=none,id=c,format=raw,file=$XT_IMAGE,readonly=on" -device virtio-blk-pci,drive=c
xd_wait end "${PVIMG_LIMIT:-2400}"
cat "$TMP/said"
bt_is "pvimg verify --driver auto: exit status" "$(xd_said 'verify exit')" 0
grep -q '^verify.*PVHVM' "$TMP/said" || bt_is "the verdict" "" PVHVM
bt_is "domain, bridge and device model are gone" "$(xd_said left)" "domains 0 bridges 0 qemu 0"
bt_is "xl save" "$(xd_said 'save exit' | cut -d' ' -f1)" 0
bt_is "xl restore" "$(xd_said 'restore exit' | cut -d' ' -f1)" 0
before=$(xd_said before) after=$(xd_said after)
bt_is "the same boot goes on, its disk and card connected" "$after" "$before"
bt_is "memcached held what it held" "$(xd_said 'guest memcached')" hello
bt_is "its disk is read" "$(xd_said 'guest disk')" ok
bt_is "Apache answers" "$(xd_said http)" "HTTP/1.1 200 OK"
xt_end
