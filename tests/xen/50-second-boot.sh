#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# After the first boot: an image with the kernel of before the last security update boots, its disk grown; inside, the newer
# kernel is installed from a second disk. That very disk, grown once more, is PVHVM again, with the new kernel.
# time limit: 2400
set -eu
# shellcheck source=tests/xen/common.sh
. tests/xen/common.sh
# shellcheck source=tests/boot/guest.sh
. tests/boot/guest.sh
bt_need qemu-system-x86_64 qemu-img mkfs.vfat mcopy ssh ssh-keygen apt-get python3
xt_begin
trap 'bt_halt; rm -rf "$XT_DIR"' EXIT

new=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)/\1/p' | head -1)
[ -n "$new" ] || bt_skip "this machine's apt knows no linux-image-cloud-amd64"
"$PVIMG" build debian-2g --security none --no-verify --out "$XT_DIR" >"$TMP/build" 2>&1 || {
	tail -5 "$TMP/build"
	bt_skip "no debian-2g without security updates can be built here"
}
old=$(bt_json "$XT_DIR/debian-2g/manifest.json" '[p["name"] for p in d["packages"] if p["name"].startswith("linux-image-6")][0]')
[ "$old" != "$new" ] || bt_skip "there is no newer kernel than $old"

mkdir "$TMP/debs"
(cd "$TMP/debs" && apt-get download -q "$new" linux-image-cloud-amd64 2>"$TMP/apt") || bt_skip "apt: $(tail -1 "$TMP/apt")"
truncate -s 64M "$XT_DIR/debs.img"
mkfs.vfat -n NEWKERNEL "$XT_DIR/debs.img" >/dev/null
mcopy -i "$XT_DIR/debs.img" "$TMP/debs/"*.deb ::

BT_EXTRA_DISK=$XT_DIR/debs.img
bt_boot bios virtio "$XT_DIR/debian-2g/debian-2g.raw"
bt_wait_ssh 400
bt_ssh 'sudo sh -s' >"$TMP/upgrade" 2>&1 <<'END' || { tail -20 "$TMP/upgrade"; bt_fail "the upgrade in the guest"; }
set -e
cloud-init status --wait >/dev/null || :
mount -r LABEL=NEWKERNEL /mnt
DEBIAN_FRONTEND=noninteractive apt-get -q -y install /mnt/*.deb </dev/null
umount /mnt
findmnt -bno SIZE /
sync
END
bt_ssh 'sudo systemctl poweroff' || :
bt_i=0
while kill -0 "$BT_QEMU" 2>/dev/null && [ "$bt_i" -lt 120 ]; do
	bt_i=$((bt_i + 1))
	sleep 1
done
bt_is "the guest powered off" "$(kill -0 "$BT_QEMU" 2>/dev/null || echo yes)" yes

mkdir "$XT_DIR/second"
qemu-img convert -O raw "$TMP/overlay.qcow2" "$XT_DIR/second/debian-2g.raw"
cp "$XT_DIR/debian-2g/manifest.json" "$XT_DIR/second/"
XT_BROKEN=$XT_DIR/second/debian-2g.raw
xt_verify 0 --no-load
XT_DIR=$XT_DIR/second
bt_is "class" "$(xt_says 'd["class"]')" PVHVM
bt_is "root grown once more" "$(xt_says '[c["state"] for c in d["checks"] if c["name"] == "root grown to the disk"]')" "['green']"
bt_is "the new kernel runs" "$(sed -n 's/.*Linux version \([^ ]*\).*/\1/p' "$XT_DIR/console.log" | head -1)" "${new#linux-image-}"
XT_DIR=${XT_DIR%/second}
xt_end
