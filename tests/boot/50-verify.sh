#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An ordinary user has the very image that 10-debian-build.sh made verified under Xen, load test and all: PVHVM, every check
# green. The dom0 for it is made on the way, from the real archive. Not one byte of the image changes.
# alone: a nested hypervisor under emulation, whose guest has a deadline
# time limit: 900
set -eu
# shellcheck source=tests/boot/common.sh
. tests/boot/common.sh
bt_need qemu-system-x86_64 qemu-img ssh-keygen mcopy mkfs.vfat python3
image=${BT_IMAGE:-out/test-images/debian-2g/debian-2g.raw}
[ -f "$image" ] || sh tests/boot/10-debian-build.sh
trap 'bt_user_end' EXIT
trap 'exit 1' INT TERM
bt_user_begin
bt_real_archive Debian bookworm || bt_skip "this machine's apt reaches no Debian archive"

mkdir "$BT_HOME/in" "$BT_HOME/out"
cp --sparse=always "$image" "$BT_HOME/in/debian-2g.raw"
cp "${image%/*}/manifest.json" "$BT_HOME/in/"
chmod 444 "$BT_HOME/in"/*
chown "$(id -u "$BT_USER")" "$BT_HOME/out"
before=$(sha256sum "$image" | cut -d' ' -f1)

start=$(date +%s)
rc=0
bt_as timeout 800 "$BT_PVIMG" verify "$BT_HOME/in/debian-2g.raw" --out "$BT_HOME/out" >"$TMP/verify" 2>&1 || rc=$?
cat "$TMP/verify"
bt_say "-- verified in $(($(date +%s) - start)) s"
v=$BT_HOME/out/verdict.json
if [ "$rc" -ne 0 ]; then
	mkdir -p out/test-logs
	cp "$BT_HOME/out/"* out/test-logs/ 2>/dev/null || :
	bt_fail "pvimg verify: exit $rc"
fi
bt_is "the class" "$(bt_json "$v" 'd["class"]')" PVHVM
bt_is "green" "$(bt_json "$v" 'd["green"]')" True
bt_is "no check is red" "$(bt_json "$v" '[c["name"] for c in d["checks"] if c["state"] == "red"]')" "[]"
bt_is "no check was left out" "$(bt_json "$v" '[c["name"] for c in d["checks"] if c["state"] == "unchecked"]')" "[]"
bt_is "the verdict is about this image" "$(bt_json "$v" 'd["image_sha256"]')" "$before"
bt_is "driver" "$(bt_json "$v" 'd["driver"]')" xen-in-qemu
bt_is "memory and vcpus are the flavor's" "$(bt_json "$v" '(d["memory"], d["vcpus"])')" "(2147483648, 2)"
bt_is "the console's log is there" "$([ -s "$BT_HOME/out/console.log" ] && echo yes)" yes
tests/schema/validate "$v"
bt_is "the image is the same file" "$(sha256sum "$BT_HOME/in/debian-2g.raw" | cut -d' ' -f1)" "$before"
bt_nothing_left
[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"
