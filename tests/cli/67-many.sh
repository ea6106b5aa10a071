#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Several images in one command: what they share is made once, the bytes are those of one by one, one that fails stops no other,
# and a signal leaves nothing.
# time limit: 400
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1 MI_KEEP=yes
mi_begin
stages=$BT_HOME/cache/pvimg/stages

mkdir -p "$BT_HOME/overlays/x/etc"
echo 'memory @memory_mib@' >"$BT_HOME/overlays/x/etc/x.conf.in"
flavor() { # flavor NAME MEMORY
	mi_recipe "$1"
	sed -i "s/memory: .*/memory: $2/" "$BT_HOME/recipes/$1.yaml"
	echo 'overlays: [x]' >>"$BT_HOME/recipes/$1.yaml"
	[ "$(id -u)" -ne 0 ] || chown -R "$BT_USER:" "$BT_HOME/recipes" "$BT_HOME/overlays"
}
flavor one 1GiB
flavor two 2GiB
flavor three 4GiB
set -- --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
sum() { sha256sum <"$MI_OUT/$1/$1.raw" | cut -d' ' -f1; }
sums() { for i in one two three; do echo "$i $(sum "$i") $(sha256sum <"$MI_OUT/$i/manifest.json")"; done; }
# How many of the reports say that the stage ran.
ran() {
	for i in one two three; do
		bt_json "$MI_OUT/$i/report.json" "len([s for s in d['stages'] if s['name'] == '$1' and s['state'] == 'done'])"
	done | awk '{ n += $1 } END { print n }'
}
together() { # together WHAT OPTION...
	what=$1
	shift
	rm -rf "$stages" "$MI_OUT"
	mi_build one two three "$@"
	bt_is "$what: exit status" "$MI_RC" 0
	[ "$MI_RC" -eq 0 ] || tail -5 "$TMP/err"
	for stage in bootstrap install configure; do bt_is "$what: $stage ran once" "$(ran "$stage")" 1; done
	bt_is "$what: an image was made" "$([ "$(ran image)" -ge 1 ] && echo yes)" yes
	bt_is "$what: no claim is left" "$(find "$stages" -name '*.lock')" ""
	mi_left
}

for i in one two three; do
	mi_build "$i" "$@"
	bt_is "$i alone: exit status" "$MI_RC" 0
done
sums >"$TMP/alone"

rm -rf "$MI_OUT"
mi_build one two three "$@" --parallel 1
bt_is "one at a time: exit status" "$MI_RC" 0
bt_is "one at a time: the same bytes" "$(sums | cmp - "$TMP/alone" 2>&1)" ""
bt_is "each has contents of its own" "$(cut -d' ' -f2 "$TMP/alone" | sort -u | wc -l)" 3

mi_build one two three "$@" --json
bt_is "nothing changed: exit status" "$MI_RC" 0
bt_is "nothing changed: nothing was made" "$(ran image)" 0
bt_is "JSON: every line is an object" "$(python3 -c 'import json, sys
for line in open(sys.argv[1]): json.loads(line)' "$TMP/out" 2>&1)" ""
bt_is "JSON: a result for each" "$(grep -c '"event":"result"' "$TMP/out")" 3

# One that fails: the others are made, and the end says which is missing.
rm -rf "$MI_OUT"
mi_recipe bad no-such-package
mi_build bad "$@"
alone=$MI_RC
mi_build one bad two "$@"
bt_is "one fails: the exit status is its" "$MI_RC" "$alone"
bt_is "one fails: said last" "$(tail -1 "$TMP/err" | grep -c '^pvimg: 1 of 3 images are not built; bad: .*no-such-package')" 1
bt_is "one fails: the others are there" "$(ls "$MI_OUT")" "$(printf 'one\ntwo')"
mi_left

# Signals go to pvimg alone.
interrupted() { # interrupted SIGNAL STATUS STAGE: when the first of them has begun it
	[ "$3" = restore ] || rm -rf "$stages" "$MI_OUT"
	rm -f "$BT_HOME/pid"
	: >"$TMP/out"
	# shellcheck disable=SC2016
	bt_as sh -c 'echo $$ >"$1"; shift; exec "$@"' - "$BT_HOME/pid" "$BT_PVIMG" build --no-verify --json --parallel 3 \
		--recipes "$BT_HOME/recipes" --out "$MI_OUT" one two three --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini" \
		>"$TMP/out" 2>"$TMP/err" </dev/null &
	job=$!
	n=0
	until grep -q "\"image\":\"[a-z]*\",\"stage\":\"$3\"" "$TMP/out"; do
		n=$((n + 1))
		if [ "$n" -gt 3000 ] || ! kill -0 "$job" 2>/dev/null; then break; fi
		sleep 0.02
	done
	kill "-$1" "$(cat "$BT_HOME/pid")" 2>/dev/null || bt_is "SIG$1 at $3: the build still ran" no yes
	rc=0
	wait "$job" || rc=$?
	bt_is "SIG$1 at $3: exit status" "$rc" "$2"
	[ "$1" = KILL ] || mi_left
}
interrupted INT 130 bootstrap
bt_is "SIGINT: said once" "$(cat "$TMP/err")" "pvimg: interrupted by SIGINT"
interrupted KILL 137 bootstrap
sleep 1
together "three at once, after SIGKILL" "$@" --parallel 3
bt_is "three at once: the same bytes as one by one" "$(sums | cmp - "$TMP/alone" 2>&1)" ""
bt_is "three at once: every line names its image" "$(grep -Ev '^(one|two|three)(  |: )' "$TMP/err")" ""
rm -rf "$MI_OUT"
interrupted TERM 143 restore
mi_verdict
