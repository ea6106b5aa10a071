#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two builds of one image into one place: the second waits, or refuses with --no-wait; both results are whole.
# time limit: 400
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
mi_begin
set -- --recipes "$BT_HOME/recipes" --out "$MI_OUT" mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"

begin() { # begin FILE OPTION...: in the background; returns when it holds the place or waits for it
	log=$1
	shift
	bt_as timeout 200 "$BT_PVIMG" build --no-verify --json "$@" >"$TMP/$log.out" 2>"$TMP/$log.err" </dev/null &
	n=0
	until [ -s "$TMP/$log.out" ] || [ "$n" -gt 300 ]; do
		n=$((n + 1))
		sleep 0.05
	done
}
begin first "$@"
first=$!
MI_RC=0
bt_as timeout 60 "$BT_PVIMG" build --no-verify --no-wait "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || MI_RC=$?
bt_is "--no-wait refuses: exit status" "$MI_RC" 1
bt_is "--no-wait refuses: says why" "$(grep -ic 'another build' "$TMP/err")" 1
begin second "$@"
second=$!
bt_is "the first still runs and is not disturbed" "$(kill -0 "$first" 2>/dev/null && echo yes)" yes
rc=0
wait "$first" || rc=$?
bt_is "the first succeeds" "$rc" 0
rc=0
wait "$second" || rc=$?
bt_is "the second waits and succeeds" "$rc" 0
bt_is "the second said that it waits" "$(cat "$TMP/second.out" "$TMP/second.err" | grep -c 'waiting')" 1
[ ! -d "$MI_OUT/mini" ] || bt_result_complete "$MI_OUT/mini" mini
mi_left

# Different images at the same time share a cache.
mi_recipe other
bt_as timeout 200 "$BT_PVIMG" build --no-verify "$@" >"$TMP/a" 2>&1 </dev/null &
first=$!
shift 5
rc=0
bt_as timeout 200 "$BT_PVIMG" build --no-verify --recipes "$BT_HOME/recipes" --out "$MI_OUT" other "$@" >"$TMP/b" 2>&1 </dev/null || rc=$?
bt_is "two images at once: the one" "$rc" 0
rc=0
wait "$first" || rc=$?
bt_is "two images at once: the other" "$rc" 0
[ "$BT_BAD" -eq 0 ] || tail -5 "$TMP/a" "$TMP/b" "$TMP"/first.err "$TMP"/second.err
mi_left
mi_verdict
