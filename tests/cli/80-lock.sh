#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg lock and builds by it: the same lock each time, no secret in it, used by default, offline from a filled store, the
# same image as without it; stale, foreign and mangled ones are refused with file, line and way out, and nothing is touched.
# time limit: 900
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
mi_begin
LOCK=$BT_HOME/recipes/mini.lock
set -- --keyring "$MI_KEY" --mirror "$(mi_url ok/mini)"

requests() { curl -s "http://127.0.0.1:$MI_PORT/log" | wc -l; }
# tree_of: what lies in the output folder and in the recipes' folder
tree_of() { find "$MI_OUT" "$BT_HOME/recipes" -type f ! -name '.*' ! -path '*/.failed/*' -printf '%p %s %i %T@\n' 2>/dev/null | LC_ALL=C sort; }
# refused WHAT STATUS PATTERN COMMAND ARGUMENT...: one line, which matches; nothing was asked of the server, no file changed
refused() {
	r_what=$1 r_rc=$2 r_pattern=$3
	shift 3
	r_before=$(requests) r_tree=$(tree_of)
	if [ "$1" = build ]; then
		shift
		mi_build "$@"
	else
		mi_pvimg "$@"
	fi
	bt_is "$r_what: exit status" "$MI_RC" "$r_rc"
	bt_is "$r_what: says why and the way out" "$(grep -c '^pvimg: ' "$TMP/err"):$(grep -Ec -- "$r_pattern" "$TMP/err")" 1:1
	bt_is "$r_what: the server was not asked" "$(requests)" "$r_before"
	bt_is "$r_what: no file is another one" "$(tree_of)" "$r_tree"
	[ "$MI_RC" = "$r_rc" ] || cat "$TMP/err"
	bt_say "   $(grep '^pvimg: ' "$TMP/err" | cut -c1-230)"
}

refused "--locked without a lock" 3 'mini\.lock: is not there, and --locked demands it; pvimg lock mini makes it$' \
	build mini --locked
refused "--offline without a lock" 3 '--offline needs a lock.*pvimg lock mini' build mini --offline
refused "--locked with --no-lock" 2 'leave one out' build mini --locked --no-lock

mi_build mini "$@"
bt_is "without a lock: exit status" "$MI_RC" 0
sum=$(sha256sum <"$MI_OUT/mini/mini.raw")
manifest=$(sha256sum <"$MI_OUT/mini/manifest.json")

# --- making it ---
with_password=$(printf '%s' "$(mi_url ok/mini)" | sed 's,//,//user:SECRET@,')
mi_pvimg lock mini --keyring "$MI_KEY" --mirror "$with_password"
bt_is "lock: exit status" "$MI_RC" 0
bt_is "lock: tells where and how many" "$(grep -Ec '/mini\.lock: made, [0-9]+ packages$' "$TMP/out")" 1
bt_is "lock: bears no password and no mirror" "$(grep -c -e SECRET -e 127.0.0.1 "$LOCK")" 0
bt_is "lock: bears no user and no folder" "$(grep -c -e "$BT_USER" -e "$BT_HOME" "$LOCK")" 0
bt_is "lock: a package a line, sorted bytewise" "$(grep '^package ' "$LOCK" | LC_ALL=C sort -c 2>&1)" ""
bt_is "lock: the plan's packages" "$(grep -c '^package ' "$LOCK")" "$(bt_json "$MI_OUT/mini/manifest.json" 'len(d["packages"])')"
bt_is "lock: digest of what is signed" "$(awk '$1 == "suite" && $2 == "noble" { print $3 }' "$LOCK")" \
	"$(gpgv --keyring "$BT_ARCHIVE/test.gpg" --output - "$BT_ARCHIVE/mini/dists/noble/InRelease" 2>/dev/null | sha256sum | cut -d' ' -f1)"
cp "$LOCK" "$TMP/lock"
refused "a lock that is there is not written over" 2 'mini\.lock: is there; pvimg lock --update mini' lock mini "$@"
mi_pvimg lock mini --update "$@" --jobs 1
bt_is "lock --update, nothing changed" "$MI_RC:$(grep -c ': unchanged, ' "$TMP/out"):$(cmp "$LOCK" "$TMP/lock" 2>&1)" "0:1:"
mi_pvimg lock mini --update --json "$@"
bt_is "lock --json: its schema" "$(tests/schema/validate "$TMP/out" 2>&1 | head -3)" ""

# --- using it ---
before=$(requests)
mi_pvimg plan mini --offline
bt_is "plan by the lock: exit status" "$MI_RC" 0
bt_is "plan by the lock: says so" "$(grep -Ec '^  (lock +.*/mini\.lock|mirror +none)' "$TMP/out")" 2
rm -rf "$MI_OUT/mini"
mi_build mini --locked --offline
bt_is "locked, offline: exit status" "$MI_RC" 0
[ "$MI_RC" -eq 0 ] || tail -5 "$TMP/err"
bt_is "locked, offline: the server was not asked" "$(requests)" "$before"
bt_is "locked, offline: the very same image" "$(sha256sum <"$MI_OUT/mini/mini.raw")" "$sum"
bt_is "locked, offline: the very same manifest" "$(sha256sum <"$MI_OUT/mini/manifest.json")" "$manifest"

refused "offline with an empty store" 6 \
	'^pvimg: mini: ([0-9]+) of \1 packages are not in the store \(.* .*, \.\.\.\); build once without --offline' \
	build mini --offline --cache "$BT_HOME/cache/empty"
one=$(awk '$1 == "package" && $2 == "netbase" { print $6 }' "$LOCK")
cp -R "$BT_HOME/cache/pvimg" "$BT_HOME/cache/less"
[ "$(id -u)" -ne 0 ] || chown -R "$BT_USER:" "$BT_HOME/cache/less"
rm -f "$BT_HOME/cache/less/store/sha256/$(printf %.2s "$one")/$one"
refused "offline, one package missing" 6 '1 of [0-9]+ packages are not in the store \(netbase [^,]*\)' \
	build mini --offline --cache "$BT_HOME/cache/less"
mi_pvimg plan mini --cache "$BT_HOME/cache/less" "$@"
bt_is "online, one package missing: from the mirror" "$MI_RC:$(grep -c '^  mirror  *http' "$TMP/out")" 0:1

# --- stale and foreign ---
refused "another suite" 3 'mini\.lock: is a lock of ubuntu noble, and ubuntu jammy is asked for; pvimg lock --update mini.*--no-lock' \
	build mini --suite jammy "$@"
refused "more packages" 3 'is stale: test-fails is asked for since' plan mini --set packages=test-fails "$@"
refused "no security updates any more" 3 'is stale: .*security' plan mini --security none "$@"
cp "$LOCK" "$BT_HOME/recipes/other.lock"
mi_recipe other
refused "another recipe's" 3 'other\.lock: is the lock of recipe mini' plan other "$@"
rm "$BT_HOME/recipes/other.lock"
mi_pvimg plan mini --suite noble --set flavor.memory=2GiB --offline
bt_is "what packages do not depend on may change" "$MI_RC" 0
mi_pvimg plan mini --no-lock --set packages=test-fails "$@"
bt_is "--no-lock: today's archive" "$MI_RC:$(grep -c '^  signed by' "$TMP/out")" 0:1

# --- mangled ---
line=$(grep -n '^package netbase ' "$LOCK" | cut -d: -f1)
mangled() { # mangled WHAT SED PATTERN
	sed "$2" "$TMP/lock" >"$LOCK"
	refused "$1" 3 "mini\\.lock:$3; pvimg lock --update mini makes it anew\$" plan mini --mirror "$(mi_url ok/mini)"
}
mangled "a digest with a digit less" "${line}s/\\([0-9a-f]\\{63\\}\\)[0-9a-f] pool/\\1 pool/" "$line: package netbase: faulty SHA-256"
mangled "a path that leads out" "${line}s,pool/,pool/../../," "$line: package netbase: faulty path"
mangled "a line twice" "${line}p" "$((line + 1)): package netbase stands behind netbase: repeated.*"
mangled "two branches' locks" "${line}i<<<<<<< HEAD" "$line: \"<<<<<<<\" where \"package\" is wanted"
mangled "lines ended as elsewhere" "s/\$/\\r/" "1: byte 0x0d is none of a lock's"
head -c 3000 "$TMP/lock" >"$LOCK"
refused "cut in a line" 3 'mini\.lock:[0-9]+: is cut short' plan mini "$@"
: >"$LOCK"
refused "empty" 3 'mini\.lock:1: ' plan mini "$@"
# The right digest under another version: found when the package is looked into, before it is installed.
sed "${line}s/\\(package netbase\\) [^ ]*/\\1 9:9/" "$TMP/lock" >"$LOCK"
refused "a package that is not what the lock calls it" 6 'netbase_.*: its control file is not that of netbase 9:9' build mini "$@"
mi_pvimg lock mini --update "$@"
bt_is "lock --update mends it" "$MI_RC:$(cmp "$LOCK" "$TMP/lock" 2>&1)" 0:

# --- clocks ---
for epoch in '' 12x -1 4294967296; do
	MI_ENV="SOURCE_DATE_EPOCH=$epoch" refused "SOURCE_DATE_EPOCH=$epoch" 2 'SOURCE_DATE_EPOCH=.*digits only' plan mini
done
MI_ENV="SOURCE_DATE_EPOCH=4200000000" refused "a clock before SOURCE_DATE_EPOCH" 4 'clock .* is before the epoch .*SOURCE_DATE_EPOCH' build mini
sed '/^suite noble /s/[^ ]*$/2095-01-01T00:00:00Z/' "$TMP/lock" >"$LOCK"
refused "a clock before the lock" 4 "clock .* is before the epoch .*newest Date of its suites.*: set the clock" build mini
cp "$TMP/lock" "$LOCK"

mi_left
mi_verdict
