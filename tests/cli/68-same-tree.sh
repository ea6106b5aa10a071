#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg's ways of being fast (packages decompressed ahead, programs held back, one transaction from an archive of its own) leave
# the tree that debootstrap and apt leave, file by file, dpkg's database too. `make bench` compares a whole Debian so.
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1 MI_KEEP=yes
mi_begin
mi_recipe mini
mi_pvimg plan mini --json --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
bt_is "plan: exit status" "$MI_RC" 0
bt_json "$TMP/out" "','.join(p['name'] for p in d['packages'])" >"$TMP/include"
object() { # object STAGE
	name=$(bt_json "$BT_HOME"/cache/pvimg/stages/"$1"/*.json "d['files'][0]['digest']")
	find "$BT_HOME/cache/pvimg/store" -name "$name"
}

# The plain way, in mounts of its own, while pvimg builds.
apart='unshare -m'
[ "$(id -u)" -eq 0 ] || apart='unshare --map-auto -r -m'
mkdir "$TMP/plain"
# shellcheck disable=SC2086 # words
$apart env BENCH_SUITE=noble BENCH_ARCHIVE=mini BENCH_SCRIPT=/usr/share/debootstrap/scripts/gutsy sh tests/bench/peers/debootstrap \
	"$TMP/plain" "$BT_ARCHIVE" "$TMP/include" "$TMP/plain.tar" >"$TMP/plain.log" 2>&1 &
plain=$!
mi_build mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
bt_is "build: exit status" "$MI_RC" 0
[ "$MI_RC" -eq 0 ] || { tail -5 "$TMP/err"; mi_verdict; }
wait "$plain" || {
	tail -5 "$TMP/plain.log"
	bt_fail "debootstrap and apt"
}
system=$(object system) configure=$(object configure)
tests/same-tree "$system" "$configure" "$TMP/plain.tar" >"$TMP/same" || BT_BAD=$((BT_BAD + 1))
cat "$TMP/same"

# It would see another byte, another mode and a package more.
tar -C "$TMP" -xf "$TMP/plain.tar" ./etc/debian_version ./etc/issue ./var/lib/dpkg/status
echo x >>"$TMP/etc/debian_version"
chmod 0600 "$TMP/etc/issue"
printf '\nPackage: more\nStatus: install ok installed\n' >>"$TMP/var/lib/dpkg/status"
tar -C "$TMP" --owner=0 --group=0 -rf "$TMP/plain.tar" ./etc/debian_version ./etc/issue ./var/lib/dpkg/status
bt_is "three changes are seen" "$(tests/same-tree "$system" "$configure" "$TMP/plain.tar" | sed -n 's/:.*//p' | paste -sd' ')" \
	"etc/debian_version etc/issue var/lib/dpkg/status same-tree"
mi_verdict
