#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# debian-2g from the real archive is the same from two builds in different conditions: as root also of two users.
# time limit: 1200
set -eu
# shellcheck source=tests/boot/common.sh
. tests/boot/common.sh
bt_need debootstrap python3
trap 'bt_user_end' EXIT
trap 'exit 1' INT TERM
bt_user_begin
bt_real_archive Debian bookworm || bt_skip "this machine's apt reaches no Debian archive"
set -- reproduce debian-2g --cache "$BT_HOME/cache/pvimg" --out "$BT_HOME/out"
[ "$(id -u)" -ne 0 ] || set -- "$@" --as-user "$BT_USER"

start=$(date +%s)
rc=0
TMPDIR=$BT_HOME "$BT_PVIMG" "$@" >"$TMP/out" 2>"$TMP/err" || rc=$?
cat "$TMP/out"
[ "$rc" -eq 0 ] || tail -20 "$TMP/err"
bt_is "both builds are equal: exit status" "$rc" 0
bt_say "two builds and the comparison took $(($(date +%s) - start)) s"
record=$BT_HOME/out/debian-2g.reproduce.json
[ ! -f "$record" ] || bt_is "another user was the second" \
	"$(bt_json "$record" "'yes' if [v for v in d['varied'] if v['what'] == 'user'] else d['not_varied']")" yes
[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"
