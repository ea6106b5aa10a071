#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SIGINT, SIGTERM and SIGKILL at every stage: nothing is left (after SIGKILL: by the next build), and the next build works.
# time limit: 600
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
mi_begin

# interrupted SIGNAL STATUS STAGE [FURTHER_SECONDS]: the signal goes to pvimg alone when the stage has begun.
interrupted() {
	mi_what="SIG$1 at $3" mi_rc=$2 mi_pattern=${5-'interrupt|signal|stopped'} MI_RC=0 mi_t=$(date +%s)
	rm -f "$BT_HOME/pid"
	mi_forget
	: >"$TMP/out"
	# shellcheck disable=SC2016
	bt_as sh -c 'echo $$ >"$1"; shift; exec "$@"' - "$BT_HOME/pid" "$BT_PVIMG" build --no-verify --json --recipes "$BT_HOME/recipes" \
		--out "$MI_OUT" mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini" >"$TMP/out" 2>"$TMP/err" </dev/null &
	job=$!
	n=0
	until grep -q "\"stage\": *\"$3\"" "$TMP/out" "$TMP/err"; do
		n=$((n + 1))
		if [ "$n" -gt 3000 ] || ! kill -0 "$job" 2>/dev/null; then break; fi
		sleep 0.02
	done
	sleep "${4:-0}"
	kill "-$1" "$(cat "$BT_HOME/pid")" 2>/dev/null || bt_is "$mi_what: the build still ran" no yes
	wait "$job" || MI_RC=$?
	[ "$1" = KILL ] || mi_judge
}
for stage in plan fetch bootstrap install configure image; do
	interrupted INT 130 "$stage"
	interrupted TERM 143 "$stage"
	interrupted KILL 137 "$stage"
	bt_is "SIGKILL at $stage: exit status" "$MI_RC" 137
done
interrupted TERM 143 bootstrap 2
interrupted TERM 143 install 1
interrupted KILL 137 bootstrap 2
sleep 1
bt_is "SIGKILL: no result appears" "$([ -e "$MI_OUT/mini" ] && echo there)" ""
mi_works "the build after SIGKILL cleans up and works" --mirror "file://$BT_ARCHIVE/mini"
mi_verdict
