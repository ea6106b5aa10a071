#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every test that is written is also run: registered in its main, named so that tests/run finds it, executable.
set -u
. tests/meta/lib.sh

for file in tests/unit/test_*.c; do
	sed -n 's/^static void \(test_[a-z0-9_]*\)(void \*\*.*/\1/p' "$file" >"$TMP/names"
	while IFS= read -r name; do
		# cmocka_unit_test(NAME) or a macro of the file around it
		grep -qE "^	.*[A-Za-z_]+\(${name}[,)]" "$file" || fault "$file: $name is not in its main"
	done <"$TMP/names"
	grep -q 'return cmocka_run_group_tests' "$file" || fault "$file: main does not return what cmocka found"
done

for file in tests/meta/*.sh tests/cli/*.sh tests/boot/*.sh tests/schema/*.sh tests/xen/*.sh; do
	[ -f "$file" ] || continue
	case ${file##*/} in
	[0-9]*)
		[ -x "$file" ] || fault "$file: not executable" ;;
	*)
		# a part of others: somebody must name it
		grep -rqF -- "${file##*/}" tests --include='[0-9]*.sh' --include='*.sh' --include=run \
			--include=check-ubuntu --exclude="${file##*/}" || fault "$file: no test, and no test names it" ;;
	esac
done

for file in tests/fuzz/fuzz_*.c; do
	[ -f "$file" ] || continue
	noun=${file##*/fuzz_}
	noun=${noun%.c}
	[ -n "$(ls -A "tests/fuzz/corpus/$noun" 2>/dev/null)" ] || fault "$file: tests/fuzz/corpus/$noun is empty"
done
verdict
