#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An ordinary user builds the images of all six recipes, and of every other suite that the archives have, offline from
# the test archives, with one cache; each is green in lint. Times are printed.
# time limit: 1500
set -eu
# shellcheck source=tests/boot/common.sh
. tests/boot/common.sh
bt_need sgdisk e2fsck qemu-img python3
trap 'bt_user_end' EXIT
trap 'exit 1' INT TERM
BT_QUIET=1
bt_user_begin
bt_local_archives

# one RECIPE [OPTION...]
one() {
	name=$1
	shift
	case $name in
	debian-*) set -- --mirror "file://$BT_ARCHIVE/debian" "$@" ;;
	ubuntu-*) set -- --mirror "file://$BT_ARCHIVE/ubuntu" "$@" ;;
	esac
	start=$(date +%s)
	bt_build "$name" --keyring "$BT_ARCHIVE/test.gpg" "$@"
	built=$(($(date +%s) - start))
	made=$BT_HOME/images/$name
	bt_result_complete "$made" "$name"
	bt_is "$name $*: stand-in" "$(bt_stand_in "$made/manifest.json")" stand-in
	bt_check_image "$made/$name.raw"
	bt_lint "$made/$name.raw"
	bt_say "-- $name $* built in $built s; $(du -m "$made/$name.raw" | cut -f1) MiB used of $(du -m --apparent-size \
		"$made/$name.raw" | cut -f1)"
	rm -rf "$made"
}

for r in recipes/*.yaml; do
	! grep -q '^kind: dom0' "$r" || continue
	r=${r##*/}
	one "${r%.yaml}"
done
one ubuntu-1g --suite jammy
one ubuntu-1g --suite resolute
bt_nothing_left
[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"
