#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pages as the program's own code writes them: of good records, of hostile ones, of hardly any.
set -eu
PV_TEST_PAGE="$TMP" out/obj/unit/test_page >"$TMP/log" 2>&1 || { cat "$TMP/log"; exit 1; }
tests/html-check "$TMP/least.html" "$TMP/good.html" "$TMP/hostile.html"
# the check can fail
sed 's/<\/table>//' "$TMP/good.html" >"$TMP/open.html"
sed 's/&lt;script&gt;/<script>/' "$TMP/hostile.html" >"$TMP/script.html"
for bad in open script; do
	! tests/html-check "$TMP/$bad.html" >/dev/null || { echo "$bad.html: found good"; exit 1; }
done
