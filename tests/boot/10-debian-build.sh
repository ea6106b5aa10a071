#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An ordinary user builds debian-2g from the real Debian archive (the mirror that this machine's apt uses, found by
# pvimg itself), and independent programs find the image sound. Leaves it in out/test-images/debian-2g for the boot.
# alone: what it leaves is what others begin with, and its time is printed
# time limit: 1200
set -eu
# shellcheck source=tests/boot/common.sh
. tests/boot/common.sh
bt_need sgdisk e2fsck qemu-img python3 curl
keep=out/test-images/debian-2g
rm -rf "$keep"
trap 'bt_user_end' EXIT
trap 'exit 1' INT TERM
bt_user_begin
bt_real_archive Debian bookworm || bt_skip "this machine's apt reaches no Debian archive"

start=$(date +%s)
bt_build debian-2g
bt_say "debian-2g built as $BT_USER in $(($(date +%s) - start)) s, cold"
made=$BT_HOME/images/debian-2g
bt_result_complete "$made" debian-2g
bt_check_image "$made/debian-2g.raw"
bt_is "the manifest says that the archive is the real one" "$(bt_stand_in "$made/manifest.json")" real
bt_is "the report says so too" "$(bt_stand_in "$made/report.json")" real
bt_is "the report's digest is the file's" "$(bt_reported_disk "$made/report.json" debian-2g.raw)" \
	"$(bt_disk_digest "$made/debian-2g.raw")"
bt_is "pvimg used less than 64 MiB" "$(bt_memory_ok "$made/report.json")" yes
bt_lint "$made/debian-2g.raw"
bt_nothing_left
[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"

mkdir -p "${keep%/*}"
mv "$made" "$keep"
[ "$(id -u)" -ne 0 ] || chown -R 0:0 "$keep"
sha256sum "$keep/debian-2g.raw" | cut -d' ' -f1 >"$keep/sha256"
