#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An ordinary user builds ubuntu-2g offline from the stand-in archive (shaped as Ubuntu's, made of Debian's packages);
# the manifest says so; the image is sound, green in lint, and boots by BIOS or UEFI.
# time limit: 1200
set -eu
# shellcheck source=tests/boot/guest.sh
. tests/boot/guest.sh
bt_need sgdisk e2fsck qemu-img python3
trap 'bt_halt; bt_user_end' EXIT
trap 'exit 1' INT TERM
bt_user_begin
bt_local_archives

start=$(date +%s)
made=$BT_HOME/images/ubuntu-2g
bt_build ubuntu-2g --mirror "file://$BT_ARCHIVE/ubuntu" --keyring "$BT_ARCHIVE/test.gpg"
bt_say "ubuntu-2g built from the stand-in as $BT_USER in $(($(date +%s) - start)) s, cold"
bt_result_complete "$made" ubuntu-2g
bt_check_image "$made/ubuntu-2g.raw"
bt_is "the manifest says that the archive is a stand-in" "$(bt_stand_in "$made/manifest.json")" stand-in
bt_is "the report says so too" "$(bt_stand_in "$made/report.json")" stand-in
bt_is "the newest version of all pockets is installed" \
	"$(bt_json "$made/manifest.json" "sum(p['version'].endswith(('+security1', '+updates1')) for p in d['packages'])")" 2
bt_is "pvimg used less than 64 MiB" "$(bt_memory_ok "$made/report.json")" yes
bt_lint "$made/ubuntu-2g.raw"
bt_nothing_left
# BIOS and UEFI are both proven on Debian's; here one boot, by the firmware whose GRUB finds its way by Ubuntu's name.
BT_BOOT_STAND_IN=${BT_BOOT_STAND_IN:-uefi}
bt_verify "$BT_BOOT_STAND_IN" virtio "$made/ubuntu-2g.raw" "${BT_LIMIT:-240}"
[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"
