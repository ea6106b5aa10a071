#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every check of pvimg lint has a broken twin in tests/boot/45-lint-twins.sh, and every twin a check.
set -u
. tests/meta/lib.sh

twins=tests/boot/45-lint-twins.sh
sed -n 's/^	{ "\([a-z0-9.-]*\)", ".*/\1/p' builder/lint_*.c | sort >"$TMP/checks"
sed -n 's/^twin \([a-z0-9.-]*\) .*/\1/p' $twins | sort -u >"$TMP/twins"
[ "$(wc -l <"$TMP/checks")" -gt 40 ] || fault "found no tables of checks in builder/lint_*.c: this check has gone blind"
uniq -d "$TMP/checks" >"$TMP/twice"
while IFS= read -r name; do fault "the check $name is there twice"; done <"$TMP/twice"
comm -23 "$TMP/checks" "$TMP/twins" >"$TMP/without"
while IFS= read -r name; do fault "builder/lint_*.c: the check $name has no broken twin in $twins"; done <"$TMP/without"
comm -13 "$TMP/checks" "$TMP/twins" >"$TMP/more"
while IFS= read -r name; do fault "$twins: there is no check $name"; done <"$TMP/more"
verdict
