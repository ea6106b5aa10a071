#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg reproduce --offline builds from the lock and the store alone; what a run that was killed left is removed, by pvimg clean and
# by the next run, and nothing that is in use or was kept.
# time limit: 900
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
MI_LIMIT=240
mi_begin
scratch=$BT_HOME/scratch
MI_ENV="TMPDIR=$scratch"
mkdir "$scratch"
chmod 1777 "$scratch"
set -- --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
mi_pvimg lock mini "$@"
mi_build mini "$@"
bt_is "a build fills the store: exit status" "$MI_RC" 0
unfinished() { find "$scratch" -name .unfinished | wc -l; }

# begin: a run as job, until its first build works
begin() {
	# shellcheck disable=SC2016
	bt_as sh -c 'echo $$ >"$1"; shift; exec "$@"' - "$BT_HOME/pid" env "$MI_ENV" "$BT_PVIMG" reproduce mini --offline \
		--recipes "$BT_HOME/recipes" --keyring "$MI_KEY" --out "$MI_OUT" >"$TMP/out" 2>"$TMP/err" </dev/null &
	job=$! n=0
	until ls "$scratch"/pvimg-reproduce.*/*/cache/work/* >/dev/null 2>&1 || ! kill -0 "$job" 2>/dev/null || [ "$n" -gt 600 ]; do
		n=$((n + 1))
		sleep 0.1
	done
}

bt_as mkdir "$scratch/pvimg-reproduce.kept"
begin
kill -INT "$(cat "$BT_HOME/pid")" || cat "$TMP/err"
rc=0
wait "$job" || rc=$?
bt_is "interrupted: exit status, and what is left" "$rc $(ls -A "$scratch")" "130 pvimg-reproduce.kept"
bt_is "interrupted: it says so in one line" "$(grep -c '^pvimg: ' "$TMP/err")" 1
bt_nothing_left

begin
mi_pvimg clean --out "$MI_OUT"
bt_is "clean leaves a run that is alive alone" "$MI_RC $(unfinished)" "0 1"
kill -KILL "$(cat "$BT_HOME/pid")" || cat "$TMP/err"
wait "$job" || :
n=0
until [ -z "$(pgrep -u "$BT_USER" -x pvimg)" ] || [ "$n" -gt 100 ]; do
	n=$((n + 1))
	sleep 0.1
done
bt_is "a run that was killed leaves its folder" "$(unfinished)" 1
mi_pvimg clean --out "$MI_OUT"
bt_is "clean removes it, and nothing that was kept" "$MI_RC $(ls -A "$scratch")" "0 pvimg-reproduce.kept"

bt_as mkdir "$scratch/pvimg-reproduce.dead"
bt_as touch "$scratch/pvimg-reproduce.dead/.unfinished"
mi_pvimg reproduce mini --offline --keyring "$MI_KEY" --out "$MI_OUT"
bt_is "from a lock and the store alone: exit status" "$MI_RC" 0
[ "$MI_RC" -eq 0 ] || { cat "$TMP/out"; tail -5 "$TMP/err"; }
bt_is "the next run removes what another left" "$(ls -A "$scratch")" pvimg-reproduce.kept
rm "$BT_HOME/recipes/mini.lock"
mi_pvimg reproduce mini --offline --keyring "$MI_KEY" --out "$MI_OUT"
bt_is "offline without a lock is refused" "$MI_RC $(grep -c '^pvimg: mini: .*lock' "$TMP/err")" "3 1"
mi_verdict
