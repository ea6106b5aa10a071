#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An ordinary user builds the dom0 of pvimg verify from the test archive, twice: the same bytes, all that dom0 needs in
# one initramfs, and nothing left behind. What a user's recipe gets wrong is told.
# time limit: 600
set -eu
# shellcheck source=tests/boot/common.sh
. tests/boot/common.sh
bt_need python3 cpio
trap 'bt_user_end' EXIT
trap 'exit 1' INT TERM
bt_user_begin
bt_local_archives
made=$BT_HOME/images/xen-dom0

build() {
	start=$(date +%s)
	bt_build xen-dom0 --mirror "file://$BT_ARCHIVE/debian" --keyring "$BT_ARCHIVE/test.gpg"
	bt_say "xen-dom0 built as $BT_USER in $(($(date +%s) - start)) s: $(du -m "$made/initrd" | cut -f1) MiB initramfs"
}
build
(cd "$made" && sha256sum xen.elf vmlinuz initrd manifest.json) >"$TMP/first"
build
bt_is "the second build is the first, byte for byte" "$(cd "$made" && sha256sum xen.elf vmlinuz initrd manifest.json |
	cmp "$TMP/first" - 2>&1)" ""
bt_is "seven files and no more" "$(find "$made" -mindepth 1 -printf '%f\n' | sort | paste -sd' ')" \
	"build.log initrd manifest.json report.html report.json vmlinuz xen.elf"
bt_nothing_half "$BT_HOME/images"
bt_is "stand-in" "$(bt_stand_in "$made/manifest.json")" stand-in
bt_is "the report's digest is the file's" "$(bt_reported_digest "$made/report.json" initrd)" \
	"$(sha256sum "$made/initrd" | cut -d' ' -f1)"
bt_is "pvimg used less than 64 MiB" "$(bt_memory_ok "$made/report.json")" yes
bt_is "Xen is an ELF file of 32 bits" "$(head -c 6 "$made/xen.elf" | od -An -tx1 | tr -d ' ')" 7f454c460101
bt_is "the kernel is one" "$(dd if="$made/vmlinuz" bs=1 skip=514 count=4 status=none)" HdrS

# what another reader finds in it
mkdir "$TMP/tree"
unpack() { python3 -c 'import sys, gzip; d = open(sys.argv[1], "rb").read(); sys.stdout.buffer.write(
	gzip.decompress(d) if d[:2] == b"\x1f\x8b" else d)' "$1"; }
unpack "$made/initrd" >"$TMP/cpio"
cpio -tv <"$TMP/cpio" >"$TMP/list" 2>/dev/null
bt_is "all is root's" "$(awk '$3 != "root" || $4 != "root"' "$TMP/list" | head -3)" ""
(cd "$TMP/tree" && cpio -idm --quiet --no-absolute-filenames --no-preserve-owner <"$TMP/cpio" 2>"$TMP/cpio.err") || bt_fail "cpio: $(cat "$TMP/cpio.err")"
cd "$TMP/tree"
for f in init pvimg/agent etc/xen/scripts/block etc/xen/scripts/vif-bridge usr/bin/busybox usr/bin/ssh usr/bin/perl \
	usr/lib/xen-*/bin/xl usr/lib/xen-*/bin/xenstored usr/lib/xen-*/bin/xenconsoled usr/bin/xenstore-write \
	usr/libexec/xen-qemu-system-i386 usr/lib64/ld-linux-x86-64.so.2; do
	[ -x "$f" ] || bt_is "$f is there and executable" no yes
done
for f in usr/lib/xen-*/boot/hvmloader usr/share/seabios/bios-256k.bin usr/lib/ipxe/qemu/efi-rtl8139.rom; do
	[ -f "$f" ] || bt_is "$f is there" no yes
done
n=0
while read -r m; do
	n=$((n + 1))
	[ -f ".$m" ] || bt_is "module $m is there" no yes
done <pvimg/modules
bt_is "modules in their order: virtio_blk after what it needs" "$(grep -Eo '(virtio_ring|virtio_blk)\.ko$' \
	pvimg/modules | paste -sd' ')" "virtio_ring.ko virtio_blk.ko"
bt_say "ok   $n modules"
# the very programs run on what is in there, and on nothing else
if [ "$(id -u)" -eq 0 ]; then
	export LC_ALL=C
	: >dev/null
	bt_is "perl has its modules" "$(chroot . /usr/bin/perl -MIO::Socket::INET -MIO::Select -MPOSIX -MFcntl -e 'print "yes"' 2>&1)" yes
	bt_is "ssh runs" "$(chroot . /usr/bin/ssh -V 2>&1 | cut -c1-7)" OpenSSH
	bt_is "the device model runs" "$(chroot . /usr/libexec/xen-qemu-system-i386 --version 2>&1 | head -1 | cut -c1-13)" "QEMU emulator"
fi
cd "$OLDPWD"
bt_nothing_left

# what such a recipe cannot be
mkdir "$BT_HOME/recipes"
printf 'kind: dom0\ndistribution: debian\nsuite: bookworm\npackages: [kmod, busybox-static]\n' >"$BT_HOME/recipes/poor.yaml"
chmod -R a+rX "$BT_HOME/recipes"
rc=0
bt_as timeout 300 "$BT_PVIMG" build --no-verify poor --recipes "$BT_HOME/recipes" --out "$BT_HOME/images" --mirror \
	"file://$BT_ARCHIVE/debian" --keyring "$BT_ARCHIVE/test.gpg" >"$TMP/out" 2>&1 || rc=$?
bt_is "a dom0 without Xen: exit code" "$rc" 1
bt_is "says what is missing" "$(tail -1 "$TMP/out" | grep -c 'kernel modules: one is wanted')" 1
bt_nothing_half "$BT_HOME/images"
bt_nothing_left
[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"
