# SPDX-License-Identifier: Apache-2.0
# Shared by tests/xen: an image to start from, ways to break a copy of it, and what a verdict must say.
# shellcheck shell=sh
# shellcheck source=tests/boot/common.sh
. tests/boot/common.sh

# xt_begin: XT_IMAGE is debian-2g as tests/boot/10 leaves it; one cache for all of this tier.
xt_begin() {
	bt_need qemu-system-x86_64 qemu-img debugfs sgdisk python3 ssh-keygen
	XT_IMAGE=${BT_IMAGE:-out/test-images/debian-2g/debian-2g.raw}
	[ -f "$XT_IMAGE" ] || sh tests/boot/10-debian-build.sh
	[ -f "$XT_IMAGE" ] || bt_skip "there is no debian-2g to start from"
	XT_DIR=$(mktemp -d /var/tmp/pvimg-xen.XXXXXX)
	trap 'rm -rf "$XT_DIR"' EXIT
	trap 'exit 1' INT TERM
	export XDG_CACHE_HOME="${XT_CACHE:-$PWD/out/test-cache}"
	mkdir -p "$XDG_CACHE_HOME"
}

# xt_copy: a fresh copy that may be broken, with the manifest beside it: $XT_DIR/debian-2g.raw
xt_copy() {
	XT_BROKEN=$XT_DIR/debian-2g.raw
	rm -f "$XT_DIR"/*
	cp --sparse=always "$XT_IMAGE" "$XT_BROKEN"
	cp "${XT_IMAGE%/*}/manifest.json" "$XT_DIR/manifest.json"
	XT_FS="$XT_BROKEN?offset=$(bt_root_offset "$XT_BROKEN")"
}

xt_debugfs() {
	debugfs -w -R "$1" "$XT_FS" >"$TMP/debugfs" 2>&1 || bt_fail "debugfs $1: $(cat "$TMP/debugfs")"
	! grep -qE 'not found|exists|No such' "$TMP/debugfs" || bt_fail "debugfs $1: $(cat "$TMP/debugfs")"
}

# xt_put FILE PATH [MODE]: writes a file into the broken copy, replacing what was there.
xt_put() {
	debugfs -w -R "rm $2" "$XT_FS" >/dev/null 2>&1 || :
	xt_debugfs "write $1 $2"
	xt_debugfs "set_inode_field $2 mode 0100${3:-644}"
	xt_debugfs "set_inode_field $2 uid 0"
	xt_debugfs "set_inode_field $2 gid 0"
}

# xt_kernel_args SED: edits the lines of grub.cfg that boot a kernel. xt_grub_cfg SED: all lines.
xt_kernel_args() { xt_grub_cfg "/^[[:space:]]*linux[[:space:]]/$1"; }
xt_grub_cfg() {
	debugfs -R 'cat /boot/grub/grub.cfg' "$XT_FS" 2>/dev/null | sed "$1" >"$TMP/grub.cfg"
	[ -s "$TMP/grub.cfg" ] || bt_fail "no grub.cfg in the image"
	xt_put "$TMP/grub.cfg" /boot/grub/grub.cfg 600
}

# xt_unit NAME TEXT: a systemd unit that is wanted by multi-user.target.
xt_unit() {
	printf '%s\n' "$2" >"$TMP/$1"
	xt_put "$TMP/$1" "/etc/systemd/system/$1"
	xt_debugfs "symlink /etc/systemd/system/multi-user.target.wants/$1 /etc/systemd/system/$1"
}

# xt_verify CODE OPTION...: runs pvimg verify on the copy; it must end with CODE. Leaves $XT_DIR/verdict.json.
xt_verify() {
	xt_want=$1
	shift
	xt_rc=0
	xt_began=$(date +%s)
	timeout -k 10 900 "$PVIMG" verify "$XT_BROKEN" "$@" >"$TMP/verify" 2>&1 || xt_rc=$?
	XT_TOOK=$(($(date +%s) - xt_began))
	[ "$xt_rc" -eq "$xt_want" ] && return
	tail -60 "$TMP/verify"
	mkdir -p out/test-logs
	cp "$XT_DIR"/*.log "$XT_DIR"/verdict.json out/test-logs/ 2>/dev/null || :
	bt_fail "pvimg verify $*: exit $xt_rc, wanted $xt_want"
}

xt_says() { bt_json "$XT_DIR/verdict.json" "$1"; }

# xt_red CLASS REGEX CHECK: the verdict's class, words of its cause or evidence, and (when named) a check that is red.
xt_red() {
	bt_is "class" "$(xt_says 'd["class"]')" "$1"
	bt_is "not green" "$(xt_says 'd["green"]')" False
	xt_said=$(xt_says '" | ".join([d.get("cause") or ""] + d["evidence"])')
	printf '%s\n' "$xt_said" | grep -qE -- "$2" || bt_is "the verdict says why" "$xt_said" "$2"
	[ -z "${3-}" ] || bt_is "red: $3" "$(xt_says "[c['state'] for c in d['checks'] if c['name'] == '$3']")" "['red']"
	bt_say "-- $XT_TOOK s: $(xt_says 'd["class"] + ": " + (d.get("cause") or "")')"
}

# Nothing of ours runs any more.
xt_nothing_left() {
	bt_is "no QEMU is left" "$(pgrep -fa 'qemu-system.*name=pvimg' | head -3)" ""
	bt_is "no work folder is left" "$(find "$XDG_CACHE_HOME/pvimg/work" -mindepth 1 2>/dev/null | head -3)" ""
}
xt_end() {
	xt_nothing_left
	[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"
}
