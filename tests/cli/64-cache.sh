#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What builds keep: the same bytes with it and without, the first changed input named, damage and a cache that cannot be
# written never in the way.
# time limit: 900
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1 MI_KEEP=yes
mi_begin
stages=$BT_HOME/cache/pvimg/stages

mkdir -p "$BT_HOME/overlays/x/etc"
conf=$BT_HOME/overlays/x/etc/x.conf
other=$BT_HOME/overlays/x/etc/other.conf
echo one >"$conf"
with_overlay() {
	mi_recipe "$1"
	echo 'overlays: [x]' >>"$BT_HOME/recipes/$1.yaml"
	[ "$(id -u)" -ne 0 ] || chown -R "$BT_USER:" "$BT_HOME/recipes" "$BT_HOME/overlays"
}
with_overlay mini
set -- --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"

sum() { sha256sum <"$1" | cut -d' ' -f1; }
# build WHAT NAME OPTION...: it succeeds; the stages that were reported are in $TMP/stages
build() {
	what=$1 name=$2
	shift 2
	mi_build "$name" "$@"
	bt_is "$what: exit status" "$MI_RC" 0
	[ "$MI_RC" -eq 0 ] || tail -5 "$TMP/err"
	bt_json "$MI_OUT/$name/report.json" '" ".join(s["name"] for s in d["stages"] if s["state"] == "done")' >"$TMP/stages"
	bt_say "   $what: $(cat "$TMP/stages")"
}
ran() { bt_is "$1: what ran" "$(cat "$TMP/stages")" "$2"; }
# cold WHAT OPTION...: the result is what a build makes that has neither trees nor an earlier result
cold() {
	was=$(sum "$MI_OUT/mini/mini.raw") was_manifest=$(sum "$MI_OUT/mini/manifest.json") cold_what=$1
	shift
	mv "$stages" "$stages.away"
	mv "$MI_OUT" "$MI_OUT.away"
	build "$cold_what, cold" mini "$@"
	ran "$cold_what, cold" "plan fetch bootstrap install configure image"
	bt_is "$cold_what: the disk is the one of a cold build" "$was" "$(sum "$MI_OUT/mini/mini.raw")"
	bt_is "$cold_what: so is the manifest" "$was_manifest" "$(sum "$MI_OUT/mini/manifest.json")"
	rm -rf "$stages" "$MI_OUT"
	mv "$stages.away" "$stages"
	mv "$MI_OUT.away" "$MI_OUT"
}

build "first" mini "$@"
ran "first" "plan fetch bootstrap install configure image"
first=$(sum "$MI_OUT/mini/mini.raw")
bt_is "a report's digest of the disk is the disk's" "$(bt_reported_disk "$MI_OUT/mini/report.json" mini.raw)" \
	"$(bt_disk_digest "$MI_OUT/mini/mini.raw")"

build "again" mini "$@"
ran "again" "plan reuse"
bt_is "again: the same disk" "$(sum "$MI_OUT/mini/mini.raw")" "$first"
report=$MI_OUT/mini/report.json
bt_is "again: the report tells of the stages' times and no other change" "$(bt_json "$report" \
	"[s['name'] for s in d['since'] if s['state'] == 'different']")" "['build stages']"
bt_is "again: it knows the folders still" "$(bt_json "$report" "d['folders'][0]['path'], d['folders'][0]['bytes'] > 1000000")" \
	"('/', True)"
bt_is "the page is in form" "$(tests/html-check "$MI_OUT/mini/report.html" 2>&1)" ""

# The result is not what it was: found by its digest, never trusted by name or time.
inode=$(stat -c %i "$MI_OUT/mini/mini.raw")
touch -r "$MI_OUT/mini/mini.raw" "$TMP/times"
printf 'x' | dd of="$MI_OUT/mini/mini.raw" bs=1 seek=200000000 conv=notrunc 2>/dev/null
touch -r "$TMP/times" "$MI_OUT/mini/mini.raw"
bt_is "the changed disk is the same file" "$(stat -c %i "$MI_OUT/mini/mini.raw")" "$inode"
build "somebody changed the disk" mini "$@"
ran "somebody changed the disk" "plan restore image"
bt_is "somebody changed the disk: it is right again" "$(sum "$MI_OUT/mini/mini.raw")" "$first"

echo two >"$conf"
mi_pvimg plan mini "$@" --out "$MI_OUT" --explain
bt_is "explain: system" "$(grep -c '^  system  *hit$' "$TMP/out")" 1
bt_is "explain: configure" "$(grep -c '^  configure  *hit$' "$TMP/out")" 1
bt_is "explain: the file, its old and its new digest" "$(grep -c "^  image  *miss: content:etc/x.conf: $(echo one | sha256sum |
	cut -c1-64) -> $(sum "$conf")\$" "$TMP/out")" 1
inode=$(stat -c %i "$MI_OUT/mini/mini.raw")
build "another line in a file of an overlay" mini "$@"
ran "another line in a file of an overlay" "plan reuse"
bt_is "nobody had the old disk open: it was changed where it lay" "$(stat -c %i "$MI_OUT/mini/mini.raw")" "$inode"
bt_is "the new line is in it" "$(debugfs -R 'cat /etc/x.conf' "$MI_OUT/mini/mini.raw?offset=134217728" 2>/dev/null)" two
cold "another line in a file of an overlay" "$@"

echo three >"$conf"
exec 7<"$MI_OUT/mini/mini.raw"
before=$(sum "$MI_OUT/mini/mini.raw")
build "the old disk is open elsewhere" mini "$@"
ran "the old disk is open elsewhere" "plan reuse"
bt_is "who has the old disk open sees the old disk" "$(sha256sum <&7 | cut -d' ' -f1)" "$before"
exec 7<&-

head -c 9000 /dev/zero | tr '\0' z >"$conf"
build "a file of more blocks" mini "$@"
ran "a file of more blocks" "plan restore image"
cold "a file of more blocks" "$@"

echo new >"$other"
mi_pvimg plan mini "$@" --out "$MI_OUT" --explain
bt_is "explain: a new file" "$(grep -c '^  configure  *miss: overlay:etc/other.conf: (none) -> f ' "$TMP/out")" 1
build "a new file in an overlay" mini "$@"
ran "a new file in an overlay" "plan restore configure image"
cold "a new file in an overlay" "$@"

with_overlay other
build "another image of the same packages" other "$@"
ran "another image of the same packages" "plan reuse"
MI_ENV=SOURCE_DATE_EPOCH=1700000000
build "another epoch" other "$@"
ran "another epoch" "plan fetch bootstrap install configure image"
MI_ENV=

# Two trees of system that one key made need not be the same: what configure changed in one is not laid over the other.
cp -a "$stages/configure" "$TMP/configure"
rm -rf "$stages/system" "$MI_OUT/mini"
build "the tree of system is made anew" mini "$@"
ran "the tree of system is made anew" "plan fetch bootstrap install configure image"
rm -rf "$stages/configure" "$MI_OUT/mini"
mv "$TMP/configure" "$stages/configure"
build "changes of another tree of system" mini "$@"
ran "changes of another tree of system" "plan restore configure image"

# Damage: noticed by what the kernel says of the file, then by its digest.
echo four >"$conf"
rm -rf "$MI_OUT/mini"
find "$BT_HOME/cache/pvimg/store/sha256" -type f -size +8000k >"$TMP/large"
while read -r f; do
	chmod u+w "$f"
	printf 'x' | dd of="$f" bs=1 seek=5000 conv=notrunc 2>/dev/null
done <"$TMP/large"
build "damaged trees" mini "$@"
bt_is "damaged trees: said so" "$(grep -c 'missing or damaged' "$TMP/err" | sed 's/^[1-9].*/yes/')" yes
disk=$(sum "$MI_OUT/mini/mini.raw")

for f in "$stages"/*/*.json; do echo '{"schema": "pvimg.stage/0"}' >"$f"; done
build "records of another version" mini "$@"
ran "records of another version" "plan fetch bootstrap install configure image"
bt_is "damaged trees: the disk was right all the same" "$disk" "$(sum "$MI_OUT/mini/mini.raw")"

if [ "$(id -u)" -ne 0 ] || [ -n "${BT_USER-}" ]; then
	chmod 0555 "$stages" "$stages"/*
	rm -rf "$MI_OUT/mini"
	build "a cache that cannot be written" mini "$@"
	bt_is "a cache that cannot be written: one line says so" "$(grep -c 'nothing is kept or reused' "$TMP/err")" 1
	chmod 0755 "$stages" "$stages"/*
fi

mi_pvimg cache verify
bt_is "cache verify: exit status" "$MI_RC" 0
bt_is "cache verify: finds what was damaged and never used again" "$(grep -c 'bad and removed: [1-9]' "$TMP/out")" 1
mi_store_whole
mi_pvimg cache verify
bt_is "cache verify: all is good" "$(grep -c 'bad and removed: 0' "$TMP/out")" 1
mi_pvimg cache du
bt_is "cache du" "$(grep -c '^  trees ' "$TMP/out")" 1
mi_pvimg cache gc --cache-limit 1
bt_is "cache gc: exit status" "$MI_RC" 0
bt_is "cache gc: nothing is left" "$(find "$BT_HOME/cache/pvimg/store/sha256" "$stages" -type f | head -3)" ""
build "after gc" mini "$@"
mi_pvimg cache nonsense
bt_is "cache nonsense: exit status" "$MI_RC" 2
mi_left
mi_verdict
