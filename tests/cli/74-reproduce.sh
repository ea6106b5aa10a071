#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg reproduce: green for an image that is the same from every build, and for one that is not it names the file; pvimg diff
# sees the same in the results that are kept.
# time limit: 500
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
MI_LIMIT=240
mi_begin
MI_ENV="TMPDIR=$BT_HOME/scratch"
mkdir "$BT_HOME/scratch"
chmod 1777 "$BT_HOME/scratch"
set -- --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini" --out "$MI_OUT"
record=$MI_OUT/mini.reproduce.json
# varied WHAT: yes when that condition differed
varied() { bt_json "$record" "'yes' if [v for v in d['varied'] if v['what'] == '$1' and v['first'] != v['second']] else d"; }

mi_t=$(date +%s)
mi_pvimg reproduce mini "$@"
bt_is "an image that is the same from every build: exit status" "$MI_RC" 0
[ "$MI_RC" -eq 0 ] || { cat "$TMP/out"; tail -5 "$TMP/err"; }
bt_say "   reproduced in $(($(date +%s) - mi_t)) s"
bt_is "its record says so" "$(bt_json "$record" "d['equal'], d['cause'], d['differences']")" "(True, None, [])"
bt_is "image and manifest were compared" "$(bt_json "$record" "sorted(a['file'] for a in d['artifacts'])")" \
	"['manifest.json', 'mini.raw']"
bt_is "a digest of each is said" "$(bt_json "$record" "[a['file'] for a in d['artifacts'] if not a['first'] or a['first'] != a['second']]")" "[]"
if grep -q "(null)" "$TMP/out"; then bt_fail "a digest that is none"; fi
for what in home program 'work folder' 'file system order' 'time zone' umask locale environment mirror; do
	bt_is "$what was varied" "$(varied "$what")" yes
done
bt_is "what was not varied is said" "$(bt_json "$record" "'date' in [n['what'] for n in d['not_varied']]")" True
bt_is "nothing is left of the two builds" "$(ls -A "$BT_HOME/scratch")" ""
rc=0
tests/schema/validate --self-test "$record" >"$TMP/schema" 2>&1 || rc=$?
[ "$rc" -eq 77 ] || bt_is "the record fits its schema" "$rc $(cat "$TMP/schema")" "0 $(cat "$TMP/schema")"

# a package's script writes random bytes
mi_recipe varies test-varies
mi_pvimg reproduce varies "$@"
record=$MI_OUT/varies.reproduce.json
bt_is "an image that varies: exit status" "$MI_RC" 7
bt_is "one line says which file" "$(grep -c '^pvimg: varies: 1 of 2 artifacts differ: .*/usr/share/varies: content differs at byte' \
	"$TMP/err")" 1
[ "$MI_RC" -eq 7 ] || { cat "$TMP/out"; tail -5 "$TMP/err"; }
bt_is "no other file differs" "$(bt_json "$record" "sorted({i['path'] for i in d['differences'] if i['path']})")" \
	"['/usr/share/varies']"
bt_is "and who wrote it" "$(bt_json "$record" "'script' in [i['writer'] for i in d['differences'] if i['path']][0]")" True
tests/schema/validate "$record" >"$TMP/schema" 2>&1 || [ $? -eq 77 ] || bt_is "the record fits its schema" "$(cat "$TMP/schema")" ""
first=$(find "$BT_HOME/scratch" -type d -path '*/1/out/varies')
second=$(find "$BT_HOME/scratch" -type d -path '*place/out/varies')

mi_pvimg diff "$first" "$second"
bt_is "diff of the two: exit status" "$MI_RC" 7
bt_is "diff names the file" "$(grep -c ', /usr/share/varies: content differs' "$TMP/out")" 1
bt_is "diff: one difference and no more" "$(grep -c '^files: 1 differences' "$TMP/out")" 1
mi_pvimg diff --json "$first" "$second/varies.raw"
bt_is "diff --json" "$(bt_json "$TMP/out" "d['equal'], [f['path'] for f in d['files']]")" "(False, ['/usr/share/varies'])"
tests/schema/validate "$TMP/out" >"$TMP/schema" 2>&1 || [ $? -eq 77 ] || bt_is "it fits its schema" "$(cat "$TMP/schema")" ""
mi_pvimg diff "$first" "$first/report.json"
bt_is "diff with itself: exit status" "$MI_RC" 0
rm "$second/varies.raw"
mi_pvimg diff "$first" "$second/manifest.json"
bt_is "records without an image compare what they have" "$MI_RC $(grep -c "files: not compared: the images of both" "$TMP/out")" "0 1"
: >"$BT_HOME/empty"
mi_pvimg diff "$first" "$BT_HOME/empty"
bt_is "diff with what is no image" "$MI_RC $(grep -c '^pvimg: .*too few for a disk' "$TMP/err")" "7 1"
mi_pvimg diff "$first" "$BT_HOME/nothing"
bt_is "diff with what is not there" "$MI_RC $(grep -c '^pvimg: .*No such file' "$TMP/err")" "1 1"
mi_pvimg diff "$first"
bt_is "diff with one operand" "$MI_RC" 2

mi_pvimg reproduce mini --as-user root "$@"
bt_is "--as-user is root's to say" "$MI_RC $(grep -c '^pvimg: mini: --as-user' "$TMP/err")" "2 1"
mi_recipe fails test-fails
mi_pvimg reproduce fails "$@"
bt_is "a build that fails says which and why" "$MI_RC $(grep -c '^pvimg: fails: the first build: fails: install: .*frobnicator' \
	"$TMP/err")" "1 1"
mi_verdict
