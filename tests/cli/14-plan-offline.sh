#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg plan from a local archive (file:), without any network: as text, with reasons, as JSON; the same plan each time;
# nothing is written but the store.
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
mi_begin
set -- mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"

has() { bt_is "$1" "$(grep -Ec -- "$2" "$TMP/out")" 1; }

mi_pvimg plan "$@"
bt_is "plan: exit status" "$MI_RC" 0
[ "$MI_RC" -eq 0 ] || cat "$TMP/err"
has "plan: what it is" '^mini: ubuntu 24\.04 \(noble\), amd64$'
has "plan: flavor" '^  flavor +1 GiB memory, 1 vcpu, 1 GiB disk$'
has "plan: mirror and where it is from" '^  mirror +file://.*/mini \(recipe or option\), a stand-in made by tests$'
has "plan: who signed" "^  signed by +$(ta_fingerprint "$MI_KEY") "
has "plan: packages" '^  packages +[0-9]+, [0-9.]+ MiB to download, [0-9.]+ MiB installed$'
has "plan: sizing" '^  memcached +[0-9]+ MiB, [0-9]+ connections, [0-9]+ threads?$'
bt_is "plan: nothing on stderr" "$(cat "$TMP/err")" ""

mi_pvimg plan "$@" --explain
bt_is "plan --explain: exit status" "$MI_RC" 0
has "plan --explain: what the store lacks" '^  fetch +miss: [0-9]+ of [0-9]+ packages \(.*\) are not in the store$'

mi_pvimg plan "$@" --json
bt_is "plan --json: exit status" "$MI_RC" 0
cp "$TMP/out" "$TMP/first"
bt_is "plan --json: its schema" "$(tests/schema/validate "$TMP/first" 2>&1 | head -3)" ""
bt_is "plan --json: the recipe's suite" "$(bt_json "$TMP/first" 'd["suite"], d["name"]')" "('noble', 'mini')"
mi_pvimg plan "$@" --json --jobs 1
bt_is "the same plan each time" "$(cmp "$TMP/first" "$TMP/out" 2>&1)" ""

# options reach the plan
mi_pvimg plan "$@" --set flavor.memory=4GiB --set flavor.vcpus=3
has "--set" '^  flavor +4 GiB memory, 3 vcpus, 1 GiB disk$'
mi_pvimg plan "$@" --security none
has "--security none" '^  security +none$'
rc_before=$MI_RC
mi_pvimg plan "$@" --mirror "file://$BT_ARCHIVE/nowhere"
bt_is "--security none: exit status" "$rc_before" 0
bt_is "no archive there: exit status" "$MI_RC" 6
bt_is "no archive there: one line" "$(wc -l <"$TMP/err")" 1

bt_is "no package was downloaded" "$(find "$BT_HOME/cache/pvimg/store" -type f -size +2M | wc -l)" 0
bt_is "plan makes no output folder" "$(ls -d "$MI_OUT" out/images/.mini* 2>/dev/null)" ""
mi_left
mi_verdict
