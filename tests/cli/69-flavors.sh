#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A flavor is made from the disk of another one beside it: the bytes are those of a build from nothing, whatever became of that
# disk; where the two must differ in more than that, it is not.
# time limit: 400
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1 MI_KEEP=yes
mi_begin
mkdir -p "$BT_HOME/overlays/x/etc" "$BT_HOME/overlays/y/etc"
echo 'memory @memory_mib@' >"$BT_HOME/overlays/x/etc/x.conf.in"
echo more >"$BT_HOME/overlays/y/etc/y.conf"
flavor() { # flavor NAME MEMORY DISK OVERLAYS
	mi_recipe "$1"
	sed -i "s/memory: .*/memory: $2/; s/disk: .*/disk: $3/" "$BT_HOME/recipes/$1.yaml"
	echo "overlays: [$4]" >>"$BT_HOME/recipes/$1.yaml"
	[ "$(id -u)" -ne 0 ] || chown -R "$BT_USER:" "$BT_HOME/recipes" "$BT_HOME/overlays"
}
flavor one 1GiB 1GiB x
flavor two 2GiB 1GiB x
flavor larger 2GiB 2GiB x
flavor other 2GiB 1GiB 'x, y'
# build WHAT NAME STAGES: NAME is built with these stages
build() {
	mi_build "$2" --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
	bt_is "$1: exit status" "$MI_RC" 0
	[ "$MI_RC" -eq 0 ] || tail -5 "$TMP/err"
	bt_is "$1: what ran" "$(bt_json "$MI_OUT/$2/report.json" '" ".join(s["name"] for s in d["stages"] if s["state"] == "done")')" "$3"
}

build "one, from nothing" one "plan fetch bootstrap install configure image"
before=$(stat -c "%i %z %y" "$MI_OUT/one/one.raw")
build "two, beside one" two "plan reuse"
bt_is "two, beside one: said so" "$(grep -c 'reuse .*the disk of one' "$TMP/err")" 1
bt_is "one was not written to" "$(stat -c "%i %z %y" "$MI_OUT/one/one.raw")" "$before"
bt_is "they differ" "$(cmp -s "$MI_OUT/one/one.raw" "$MI_OUT/two/two.raw" || echo yes)" yes
bt_check_image "$MI_OUT/two/two.raw"
bt_is "the report's digest is the disk's" "$(bt_reported_disk "$MI_OUT/two/report.json" two.raw)" \
	"$(bt_disk_digest "$MI_OUT/two/two.raw")"
build "two again" two "plan reuse"
bt_is "two again: nothing has changed" "$(grep -c 'nothing has changed' "$TMP/err")" 1
bt_result_complete "$MI_OUT/two" two

# Where what lies beside it is of no use, it is made as ever: a disk that somebody has changed, another size, another set of files.
mv "$MI_OUT/two" "$BT_HOME/two"
printf 'x' | dd of="$MI_OUT/one/one.raw" bs=1 seek=200000000 conv=notrunc 2>/dev/null
build "two, beside a changed disk" two "plan restore image"
for i in two.raw manifest.json; do
	bt_is "$i: the same bytes as when it was made of the disk of one" "$(cmp "$BT_HOME/two/$i" "$MI_OUT/two/$i" 2>&1)" ""
done
build "a larger disk" larger "plan restore image"
build "one more file" other "plan restore configure image"
mi_left
mi_verdict
