#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every flavor, at its own memory and processors, load and all: PVHVM, every check green, none left out. Debian's from the real
# archive; Ubuntu's from the stand-in made of Debian's packages, which proves pvimg and not Ubuntu.
# PVIMG_RECIPES="NAME..." names fewer of them.
# time limit: 7200
set -eu
# shellcheck source=tests/xen/common.sh
. tests/xen/common.sh
xt_begin
bt_archives
recipes=${PVIMG_RECIPES:-debian-1g debian-2g debian-4g ubuntu-1g ubuntu-2g ubuntu-4g}

for name in $recipes; do
	XT_DIR_ALL=${XT_DIR_ALL:-$XT_DIR}
	XT_DIR=$XT_DIR_ALL/$name
	XT_BROKEN=$XT_DIR/$name.raw
	set -- "$name" --no-verify --no-lock --out "$XT_DIR_ALL"
	case $name in
	ubuntu-*) set -- "$@" --mirror "file://$BT_ARCHIVE/ubuntu" --keyring "$BT_ARCHIVE/test.gpg" ;;
	esac
	"$PVIMG" build "$@" >"$TMP/build" 2>&1 || { tail -5 "$TMP/build"; bt_fail "pvimg build $name"; }
	bt_say "== $name, $(bt_stand_in "$XT_DIR/manifest.json") archive"
	xt_verify 0 --deadline 840
	bt_is "class" "$(xt_says 'd["class"]')" PVHVM
	bt_is "memory and vcpus are the flavor's" "$(xt_says '(d["memory"], d["vcpus"])')" \
		"$(bt_json "$XT_DIR/manifest.json" '(d["flavor"]["memory"], d["flavor"]["vcpus"])')"
	bt_is "no check was left out" "$(xt_says '[c["name"] for c in d["checks"] if c["state"] != "green"]')" "[]"
	bt_say "-- $name: $XT_TOOK s, attempts $(xt_says 'd["driver_facts"].get("attempts", 1)'), $(xt_says 'len(d["checks"])') checks"
	rm -rf "$XT_DIR"
done
XT_DIR=$XT_DIR_ALL
xt_end
