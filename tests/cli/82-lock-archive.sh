#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The archive moves on: the lock's packages are installed all the same while its files are there; what is gone or is another
# file is named in one line; pvimg lock --update tells what changed; a snapshot is that day's or nothing.
# time limit: 600
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
mi_begin_bent
LOCK=$BT_HOME/recipes/mini.lock
version_in() { bt_json "$MI_OUT/mini/manifest.json" "[p['version'] for p in d['packages'] if p['name'] == '$1']"; }

# publish NAME SUITE [DEB...]: those packages are all that the suite has; signed anew by resign.
publish() {
	p_dir=$MI_WWW/$1 p_suite=$2
	shift 2
	mkdir -p "$p_dir/pool/$p_suite"
	[ $# -eq 0 ] || mv "$@" "$p_dir/pool/$p_suite/"
	ta_stanzas "$p_dir" "pool/$p_suite" >"$TMP/packages"
	rm -rf "$p_dir/dists/$p_suite/main/binary-amd64"
	ta_index "$p_dir/dists/$p_suite" main "$TMP/packages"
	ta_release "$p_dir/dists/$p_suite" Ubuntu "$p_suite" noble 24.04 'main universe' Ubuntu 'X-Pvimg-Stand-In: yes'
}

mi_copy_pool moved
set -- --keyring "$MI_KEY" --mirror "$(mi_url ok/moved)"
mi_pvimg lock mini "$@"
bt_is "lock: exit status" "$MI_RC" 0
cp "$LOCK" "$TMP/lock"

# --- a newer netbase from security, which wants a package that was not there; a newer sudo in the updates ---
mkdir -p "$TMP/new"
ta_meta "$TMP/new" netbase 99.0 test-new
ta_meta "$TMP/new" test-new 1.0 ''
publish moved noble-security "$TMP/new"/*.deb
ta_meta "$TMP/new" sudo 99.0 ''
publish moved noble-updates "$TMP/new"/*.deb
ta_sign "$BT_ARCHIVE/test.secret" "$MI_WWW/moved"/dists/*

mi_build mini --locked "$@"
bt_is "archive moved on, locked: exit status" "$MI_RC" 0
[ "$MI_RC" -eq 0 ] || tail -5 "$TMP/err"
bt_is "archive moved on, locked: as locked" "['$(awk '$2 == "netbase" && NF > 2 { print $3 }' "$LOCK")']" "$(version_in netbase)"
bt_is "archive moved on, locked: the epoch is the lock's" "$(bt_json "$MI_OUT/mini/manifest.json" 'd["epoch"]')" \
	"$(awk '$1 == "suite" { print $4 }' "$LOCK" | LC_ALL=C sort | tail -1 | date -u +%s -f -)"
mi_pvimg plan mini --no-lock "$@" --json
bt_is "archive moved on, not locked: the newer one" "$(bt_json "$TMP/out" '[p["version"] for p in d["packages"] if p["name"] == "netbase"]')" "['99.0']"

mi_pvimg lock mini --update "$@"
bt_is "lock --update: what changed" "$(sed -n 's/^  *//p' "$TMP/out" | sed 's/ [^ ]* ->/ X ->/' | tr -s ' ' | paste -sd';')" \
	"up netbase X -> 99.0 (security);up sudo X -> 99.0;added test-new 1.0 (security)"
bt_is "lock --update: in one line" "$(grep -Ec '/mini\.lock: updated, [0-9]+ packages, 1 added, 2 up, 2 from security$' "$TMP/out")" 1
bt_is "lock --update: no line more than that differs" "$(diff "$TMP/lock" "$LOCK" | grep '^[<>]' | awk '{ print $1 $2 }' | sort | uniq -c |
	awk '{ printf "%s%s ", $2, $1 }')" "<package2 <suite2 >package3 >suite2 "
mi_pvimg lock mini --update --json "$@"
cp "$TMP/lock" "$LOCK"
mi_pvimg lock mini --update --json "$@"
bt_is "lock --update --json" "$(bt_json "$TMP/out" '[(c["change"], c["package"], c["security"]) for c in d["changes"]], d["state"]')" \
	"([('up', 'netbase', True), ('up', 'sudo', False), ('added', 'test-new', True)], 'updated')"
bt_is "lock --update --json: its schema" "$(tests/schema/validate "$TMP/out" 2>&1 | head -3)" ""
cp "$TMP/lock" "$LOCK"

# --- what was locked is gone, or another file has its name ---
find "$MI_WWW/moved/pool/main" \( -name 'netbase_*' -o -name 'sudo_*' \) -delete
mi_refused "gone from the archive" 6 \
	"the archive does not have what is locked: netbase [^ ]+ \(gone\), sudo [^ ]+ \(gone\); pvimg lock --update mini" \
	mini "$@" --cache "$BT_HOME/cache/other"
bt_is "gone: one line" "$(grep -c '^pvimg: ' "$TMP/err")" 1
other=$(find "$MI_WWW/moved/pool/main" -name 'zstd_*.deb')
size=$(stat -c %s "$other")
rm "$other"
head -c "$size" /dev/zero >"$other"
mi_refused "gone, and another file" 6 \
	"does not have what is locked: netbase [^ ]+ \(gone\), sudo [^ ]+ \(gone\), zstd [^ ]+ \(another file\); pvimg lock --update" \
	mini "$@" --cache "$BT_HOME/cache/third"
mi_refused "the server is down: no word of the lock" 6 '503' mini --keyring "$MI_KEY" --mirror "$(mi_url down/moved)" \
	--cache "$BT_HOME/cache/fourth"
bt_is "the server is down: no word of the lock" "$(grep -c 'what is locked' "$TMP/err")" 0
mi_pvimg plan mini --locked --offline
bt_is "the store has them still: offline" "$MI_RC" 0
mi_store_whole

# --- snapshots ---
rm "$LOCK"
day=20200102T000000Z
mkdir -p "$MI_WWW/snap/ubuntu"
mi_copy dated
mi_resign dated 's/^Date:.*/Date: Wed, 01 Jan 2020 10:00:00 UTC/'
ln -s ../../dated "$MI_WWW/snap/ubuntu/$day"
ln -s ../../moved "$MI_WWW/snap/ubuntu/20200103T000000Z"	# a server that gives today's for any day
mi_recipe snap
sed -i "s|^suite:.*|&\\nsnapshot: $(mi_url ok/snap)/{archive}/{date}/|" "$BT_HOME/recipes/snap.yaml"
set -- --keyring "$MI_KEY"
mi_pvimg lock snap "$@" --set snapshot-date=$day
bt_is "snapshot: locked" "$MI_RC" 0
[ "$MI_RC" -eq 0 ] || cat "$TMP/err"
bt_is "snapshot: its day stands in the lock, its place does not" "$(grep -c "^snapshot $day\$" "$BT_HOME/recipes/snap.lock"):$(grep -c snap/ \
	"$BT_HOME/recipes/snap.lock")" 1:0
bt_is "snapshot: the epoch is that day's" "$(grep -c '^suite .* 2020-01-01T10:00:00Z$' "$BT_HOME/recipes/snap.lock")" 3
mi_pvimg plan snap "$@" --set snapshot-date=20200103T000000Z
bt_is "snapshot: the lock of another day is stale" "$MI_RC:$(grep -c 'is stale: .*snapshot-date' "$TMP/err")" 3:1
mi_refused "snapshot: a day that the server has not" 6 '404' snap "$@" --no-lock --set snapshot-date=20190101T000000Z
mi_refused "snapshot: the server gives another day" 6 'is newer than the snapshot of 20200103T000000Z' snap "$@" --no-lock \
	--set snapshot-date=20200103T000000Z
mi_refused "snapshot: without a day" 3 'snapshot-date is missing' snap "$@" --no-lock
mi_refused "snapshot: and a mirror" 3 'mirror and snapshot' snap "$@" --no-lock --set snapshot-date=$day --mirror "$(mi_url ok/mini)"
mi_refused "snapshot: and another day's security updates" 3 'security: is auto or none' snap "$@" --no-lock \
	--set snapshot-date=$day --security "$(mi_url ok/mini)"
mi_refused "snapshot: no day" 3 '1 fault' snap "$@" --no-lock --set snapshot-date=2020-01-02
mi_verdict
