#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg list: one line a recipe, the same as JSON; a recipe at fault is told, the others are listed, exit code 3.
set -eu
# shellcheck source=tests/cli/plain.sh
. tests/cli/plain.sh

"$PVIMG" list >"$TMP/list" 2>"$TMP/err"
[ ! -s "$TMP/err" ] || fail "list: $(cat "$TMP/err")"
# as many lines as recipes, by their names, in order
for file in recipes/*.yaml; do
	name=${file##*/}
	echo "${name%.yaml}"
done | LC_ALL=C sort >"$TMP/names"
cut -d' ' -f1 "$TMP/list" >"$TMP/shown"
cmp "$TMP/names" "$TMP/shown" || fail "list: other names than recipes/ has"
grep -Eqx 'debian-2g +debian 12 \(bookworm\), 2 GiB memory, 2 vcpus, 4 GiB disk' "$TMP/list" || fail "list: $(cat "$TMP/list")"
grep -Eqx 'ubuntu-1g +ubuntu 24\.04 \(noble\), 1 GiB memory, 1 vcpu, 3 GiB disk' "$TMP/list" || fail "list: $(cat "$TMP/list")"
grep -Eqx 'xen-dom0 +debian 12 \(bookworm\), the dom0 of pvimg verify' "$TMP/list" || fail "list: $(cat "$TMP/list")"

"$PVIMG" list --json >"$TMP/json"
python3 - "$TMP/json" "$TMP/names" <<'PY' || fail "list --json"
import json, sys
recipes = {r["name"]: r for r in json.load(open(sys.argv[1]))}
assert sorted(recipes) == open(sys.argv[2]).read().split(), sorted(recipes)
r = recipes["ubuntu-4g"]
assert (r["kind"], r["distribution"], r["suite"], r["memory"], r["vcpus"]) == ("image", "ubuntu", "noble", 4 << 30, 4), r
r = recipes["xen-dom0"]
assert r == {"name": "xen-dom0", "kind": "dom0", "distribution": "debian", "suite": "bookworm"}, r
PY

# recipes of one's own; one of them is broken
mkdir "$TMP/my recipes"
cat >"$TMP/my recipes/good.yaml" <<'Y'
distribution: debian
suite: trixie
flavor: {memory: 512MiB, vcpus: 1, disk: 2GiB}
Y
sed 's/memory/memroy/' "$TMP/my recipes/good.yaml" >"$TMP/my recipes/broken.yaml"
rc=0
"$PVIMG" list --recipes "$TMP/my recipes" >"$TMP/list" 2>"$TMP/err" || rc=$?
[ "$rc" -eq 3 ] || fail "a broken recipe: exit code $rc"
grep -Eqx 'good +debian 13 \(trixie\), 512 MiB memory, 1 vcpu, 2 GiB disk' "$TMP/list" || fail "the good one: $(cat "$TMP/list")"
[ "$(wc -l <"$TMP/list")" -eq 1 ] || fail "the broken one is listed"
grep -q '^.*broken\.yaml:3:.*memroy.*memory' "$TMP/err" || fail "the fault is not told: $(cat "$TMP/err")"
tail -n 1 "$TMP/err" | grep -qx 'pvimg: 1 of 2 recipes refused' || fail "no sum: $(cat "$TMP/err")"
