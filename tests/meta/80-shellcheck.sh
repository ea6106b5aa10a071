#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shell programs are clean by shellcheck.
set -u
. tests/meta/lib.sh

command -v shellcheck >/dev/null || { echo 'skipped: no shellcheck here'; exit 77; }
shell_files >"$TMP/shell"
[ -s "$TMP/shell" ] || { echo "found no shell programs: this check has gone blind"; exit 1; }
while IFS= read -r file; do
	shellcheck -x "$file" || fault "$file"
done <"$TMP/shell"
verdict
