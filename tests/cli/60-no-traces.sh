#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A mirror with user and password: neither they nor the build mirror's address are in the image, its papers or the cache.
# time limit: 300
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
mi_begin
url="http://us%20er:p%40ss%3Aw%2Fd@127.0.0.1:$MI_PORT/auth/mini"
mi_build mini --keyring "$MI_KEY" --mirror "$url"
bt_is "a mirror that wants a password: exit status" "$MI_RC" 0
[ "$MI_RC" -eq 0 ] || tail -5 "$TMP/err"

# found WORD PATH...: files that have it. The raw disk is plain text for grep: nothing in it is compressed by us but
# the initrd.
found() {
	word=$1
	shift
	grep -rlaF -- "$word" "$@" 2>/dev/null | head -3
}
image=$MI_OUT/mini
for secret in 'p@ss:w/d' 'p%40ss' 'us%20er' 'us er:'; do
	bt_is "\"$secret\" is nowhere" "$(found "$secret" "$image" "$BT_HOME/cache" "$TMP/out" "$TMP/err")" ""
done
bt_is "the build mirror is not in the image" "$(found "127.0.0.1:$MI_PORT" "$image/mini.raw" "$image/manifest.json")" ""
# and grep does find what is there
bt_is "the image's own mirror is" "$(found archive.example.invalid "$image/mini.raw")" "$image/mini.raw"
mi_verdict
