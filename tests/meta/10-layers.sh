#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Includes point down only, by the table in tests/meta/layers, which ARCHITECTURE.md shows too.
set -u
. tests/meta/lib.sh

# Prints the number of the layer that a noun is in, 1 at the top; nothing when it is in none.
layer_of() {
	set -f
	n=0 last=
	while read -r name patterns; do
		[ "$name" = "$last" ] || n=$((n + 1))
		last=$name
		for p in $patterns; do
			# shellcheck disable=SC2254  # patterns, not words
			case $1 in
			$p) echo "$n"; return ;;
			esac
		done
	done <tests/meta/layers
}

for file in builder/*.c builder/*.h; do
	noun=${file##*/}
	noun=${noun%.?}
	printf '%s %s\n' "$noun" "$(layer_of "$noun")"
done | sort -u >"$TMP/levels"

while read -r noun level; do
	[ -n "$level" ] || fault "builder/$noun: in no layer; put it into tests/meta/layers and ARCHITECTURE.md"
done <"$TMP/levels"

grep -Ho '^#include "[^"]*"' builder/*.[ch] | sed 's,^builder/\([^:]*\)\..:#include "\(.*\)\.h",\1 \2,' |
	sort -u >"$TMP/includes"
awk 'NR == FNR { level[$1] = $2; next }
	level[$1] != "" && level[$2] != "" && level[$2] < level[$1] {
		print "builder/" $1 " includes " $2 ".h, which is above it"
	}
	$2 == "log" && level[$1] > 3 { print "builder/" $1 " includes log.h: only commands, proof and stages log" }
	' "$TMP/levels" "$TMP/includes" | grep -v '^builder/log includes log.h' >"$TMP/wrong"
while IFS= read -r line; do
	fault "$line"
done <"$TMP/wrong"

# The document says what the check checks.
tr -s ' \t' ' ' <ARCHITECTURE.md 2>/dev/null >"$TMP/document"
tr -s ' \t' ' ' <tests/meta/layers >"$TMP/table"
while IFS= read -r line; do
	grep -qF -- "$line" "$TMP/document" || fault "ARCHITECTURE.md does not show the layer: $line"
done <"$TMP/table"
verdict
