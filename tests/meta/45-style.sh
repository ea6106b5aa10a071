#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What every source begins with, and calls that no source makes.
set -u
. tests/meta/lib.sh

for file in builder/*.[ch] tests/unit/*.[ch] tests/fuzz/*.c; do
	[ -f "$file" ] || continue
	[ "$(head -n 1 "$file")" = '/* SPDX-License-Identifier: Apache-2.0 */' ] ||
		fault "$file: the first line is no SPDX line"
done
for file in builder/*.c; do
	sed -n 2p "$file" | grep -q '^/\* [A-Za-z0-9]' || fault "$file: the second line does not say what it is for"
done

# $1: what is wrong, $2: a pattern, the rest: files
never() {
	what=$1 pattern=$2
	shift 2
	grep -nE "$pattern" "$@" >"$TMP/hits"
	while IFS= read -r line; do
		fault "$line: $what"
	done <"$TMP/hits"
}
call='(^|[^a-zA-Z0-9_."])'
never 'runs a shell' "$call(system|popen|wordexp)\(" builder/*.c
never 'no bound' "$call(strcpy|strcat|sprintf|vsprintf|gets|alloca)\(" builder/*.c
never 'not thread-safe or not checkable' "$call(strtok|atoi|atol|localtime|tmpnam|mktemp)\(" builder/*.c
set --
for file in builder/*.c; do
	[ "$file" = builder/main.c ] || set -- "$@" "$file"
done
never 'only main.c ends the program' "$call(exit|err|errx)\(" "$@"
never 'white space at the end' '[ 	]+$' builder/*.[ch] tests/unit/*.[ch]
verdict
