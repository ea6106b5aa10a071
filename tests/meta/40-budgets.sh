#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No file over 800 lines (tests: 1500), no function over 100, no line over 128 columns (tests: 140).
set -u
. tests/meta/lib.sh

for file in builder/*.[ch] tests/unit/*.[ch] tests/fuzz/*.c; do
	[ -f "$file" ] || continue
	lines=1500 columns=140
	case $file in
	builder/*) lines=800 columns=128 ;;
	esac
	expand "$file" | awk -v file="$file" -v lines="$lines" -v columns="$columns" '
		length($0) > columns { print file ":" NR ": " length($0) " columns, at most " columns }
		# K&R: a function begins and ends with a brace in the first column
		/^\{/ { start = NR; inside = 1 }
		/^\}/ && inside {
			if (NR - start - 1 > 100)
				print file ":" start ": a function of " NR - start - 1 " lines, at most 100"
			inside = 0
		}
		END { if (NR > lines) print file ": " NR " lines, at most " lines }'
done >"$TMP/over"
while IFS= read -r line; do
	fault "$line"
done <"$TMP/over"
verdict
