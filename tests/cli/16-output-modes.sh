#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a build says: plain lines into a pipe, one live line on a terminal of 80 columns that leaves it clean, JSON lines
# for programs, an error as one line; and the reader who goes away does not stop a build.
# time limit: 400
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
mi_begin
set -- mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
stages='plan fetch bootstrap install configure image'

# --- plain ---
mi_build "$@"
bt_is "plain: exit status" "$MI_RC" 0
bt_is "plain: nothing on stdout" "$(cat "$TMP/out")" ""
for s in $stages; do
	bt_is "plain: $s begins" "$(grep -cx "mini  $s" "$TMP/err")" 1
	bt_is "plain: $s ends" "$(grep -Ecx "mini  $s  done  [0-9]+:[0-9][0-9]" "$TMP/err")" 1
done
bt_is "plain: the result's path comes last" "$(tail -n 1 "$TMP/err")" "mini: $MI_OUT/mini/mini.raw (not verified)"
bt_is "plain: no control character" "$(tr -d '\n' <"$TMP/err" | LC_ALL=C tr -d '\040-\176' | wc -c)" 0
bt_is "plain: few lines" "$([ "$(wc -l <"$TMP/err")" -le 40 ] && echo yes)" yes
bt_is "the report has the recipe's digest" "$(bt_json "$MI_OUT/mini/report.json" 'd["recipe"][0]["sha256"]')" \
	"$(sha256sum <"$BT_HOME/recipes/mini.yaml" | cut -d' ' -f1)"
bt_is "the log has what the programs said" "$(grep -c 'Setting up ' "$MI_OUT/mini/build.log" | sed 's/^[1-9].*/yes/')" yes

# --- a terminal ---
if command -v script >/dev/null; then
	cat >"$TMP/command" <<-EOF
	stty cols 80 rows 24
	exec '$BT_PVIMG' build --no-verify --recipes '$BT_HOME/recipes' --out '$MI_OUT' --keyring '$MI_KEY' \
		--mirror 'file://$BT_ARCHIVE/mini' mini
	EOF
	chmod 755 "$TMP" 2>/dev/null || :
	MI_RC=0
	mi_forget
	bt_as env TERM=xterm script -qec "$(cat "$TMP/command")" /dev/null >"$TMP/typescript" 2>&1 </dev/null || MI_RC=$?
	bt_is "live: exit status" "$MI_RC" 0
	esc=$(printf '\033')
	# what was rewritten in place: pieces between carriage returns that end with "erase to the end of the line"
	tr '\r' '\n' <"$TMP/typescript" | grep -c "^mini  [a-z].*$esc\[K$" >"$TMP/lives" || :
	bt_is "live: lines were rewritten" "$([ "$(cat "$TMP/lives")" -ge 10 ] && echo yes)" yes
	bt_is "live: none is wider than the terminal" "$(tr '\r' '\n' <"$TMP/typescript" | sed "s/$esc\[K//g" |
		grep '^mini  ' | awk 'length > 79' | head -2)" ""
	bt_is "live: packages are counted" "$(grep -Eac 'mini  install  [0-9]+/[0-9]+ packages' "$TMP/typescript" |
		sed 's/^[1-9].*/yes/')" yes
	bt_is "live: packages of the base are counted too" "$(grep -Eac 'mini  bootstrap  [1-9][0-9]*/[0-9]+ packages' \
		"$TMP/typescript" | sed 's/^[1-9].*/yes/')" yes
	bt_is "live: none is over its total" "$(tr '\r' '\n' <"$TMP/typescript" | grep -Eao '[0-9]+/[0-9]+ packages' |
		awk -F'[/ ]' '$1 > $2' | head -2)" ""
	# what stays on the screen: the end of each line
	sed 's/\r*$//; s/.*\r//' "$TMP/typescript" | sed "s/$esc\[K//g" | grep -v '^$' >"$TMP/screen"
	bt_is "live: what stays are the stages' ends and the result" "$(wc -l <"$TMP/screen")" 7
	bt_is "live: no live line stays" "$(grep -Evc '  done  [0-9]+:[0-9]+$|\(not verified\)$' "$TMP/screen")" 0
else
	bt_say "no script(1): the live line was not looked at"
fi

# --- JSON lines ---
mi_build "$@" --json
bt_is "json: exit status" "$MI_RC" 0
bt_is "json: nothing on stderr" "$(cat "$TMP/err")" ""
# shellcheck disable=SC2086 # words
bt_is "json: every line is an object, stages in order" "$(python3 - "$TMP/out" "$MI_OUT/mini/mini.raw" $stages <<'PY'
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
stages = [e for e in events if e["event"] == "stage"]
assert all(isinstance(e, dict) for e in events)
assert [e["stage"] for e in stages if e["state"] == "begin"] == sys.argv[3:]
ends = [e for e in stages if e["state"] == "end"]
assert [e["stage"] for e in ends] == sys.argv[3:] and all(e["ok"] is True and e["ms"] >= 0 for e in ends)
moves = [e for e in stages if e["state"] == "progress"]
assert moves and all(0 <= e["done"] <= e["total"] for e in moves if e["total"]), moves
assert events[-1] == {"event": "result", "image": "mini", "path": sys.argv[2]}, events[-1]
print("good")
PY
)" good

# --- errors ---
mi_recipe broken test-fails
mi_build broken --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
bt_is "a failed build: exit status" "$MI_RC" 1
bt_is "a failed build: one line of error, the last" "$(grep -c '^pvimg: ' "$TMP/err") $(tail -n 1 "$TMP/err" | cut -c1-24)" \
	"1 pvimg: broken: install: "
bt_is "a failed build names its log" "$(grep -cxF "broken: the log is $MI_OUT/.failed/broken/build.log" "$TMP/err")" 1
bt_is "and that is there" "$([ -s "$MI_OUT/.failed/broken/build.log" ] && echo yes)" yes
mi_build broken --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini" --json
bt_is "a failed build, json: exit status" "$MI_RC" 1
bt_is "a failed build, json: lines are JSON to the end" "$(python3 -c '
import json, sys
e = [json.loads(line) for line in open(sys.argv[1])]
print([x["ok"] for x in e if x.get("state") == "end"])' "$TMP/out")" "[True, True, True, False]"
# the last line of both says the same; and so it does when no stage was reached
mi_last_is_error() {
	bt_is "$1: the last event is the error" "$(tail -n 1 "$TMP/out" | python3 -c '
import json, sys
e = json.load(sys.stdin)
print(e["event"], e["exit"], "pvimg: " + e["text"] == open(sys.argv[1]).read().splitlines()[-1])' "$TMP/err")" "error $2 True"
}
mi_last_is_error "a failed build, json" 1
mi_build no-such-recipe --json
mi_last_is_error "an unknown recipe, json" 3

# --- a reader that goes away: the build goes on, its result is there ---
rm -rf "$MI_OUT/mini"
# shellcheck disable=SC2016
bt_as sh -c '"$@" --json 2>"$0" | head -n 1 >/dev/null' "$MI_OUT/err" "$BT_PVIMG" build --no-verify --recipes "$BT_HOME/recipes" \
	--out "$MI_OUT" "$@" </dev/null || bt_is "head" failed ok
bt_is "nobody reads: it is told, in one line" "$(cat "$MI_OUT/err")" "pvimg: standard output: write failed"
rm -f "$MI_OUT/err"
bt_is "nobody reads: the image is there" "$([ -s "$MI_OUT/mini/mini.raw" ] && echo yes)" yes
mi_left
mi_verdict
