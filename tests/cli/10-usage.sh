#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line: help, what is refused with exit code 2 or 3, and that each refusal is one line that names its thing.
set -eu
n=0 bad=0
export HOME="$TMP"

fault() {
	echo "$*"
	sed 's/^/  stdout: /' "$TMP/out"
	sed 's/^/  stderr: /' "$TMP/err"
	bad=$((bad + 1))
}

# run ARGUMENT...: exit code in rc
run() {
	n=$((n + 1)) rc=0
	"$PVIMG" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || rc=$?
}

# refused STATUS WORDS ARGUMENT...: that exit code, nothing on stdout, the words in one line "pvimg: ..." on stderr
refused() {
	status=$1 words=$2
	shift 2
	run "$@"
	[ "$rc" -eq "$status" ] || fault "pvimg $*: exit code $rc, not $status"
	[ ! -s "$TMP/out" ] || fault "pvimg $*: writes on stdout"
	[ "$(wc -l <"$TMP/err")" -eq 1 ] || fault "pvimg $*: not one line"
	grep -qF -e "$words" "$TMP/err" || fault "pvimg $*: does not say '$words'"
	grep -q '^pvimg: ' "$TMP/err" || fault "pvimg $*: does not say who speaks"
}

# shows WORDS ARGUMENT...: exit code 0, the words on stdout, nothing on stderr
shows() {
	words=$1
	shift
	run "$@"
	[ "$rc" -eq 0 ] || fault "pvimg $*: exit code $rc"
	grep -qF -e "$words" "$TMP/out" || fault "pvimg $*: does not show '$words'"
	[ ! -s "$TMP/err" ] || fault "pvimg $*: writes on stderr"
	[ "$(awk 'length > 80' "$TMP/out" | wc -l)" -eq 0 ] || fault "pvimg $*: lines of more than 80 columns"
}

for command in build plan lock list lint verify compare reproduce diff export import inspect publish manifest check-signature doctor cache clean; do
	shows "  $command " help
	shows "usage: pvimg $command" help "$command"
	cp "$TMP/out" "$TMP/first"
	shows "usage: pvimg $command" "$command" --help
	cmp -s "$TMP/first" "$TMP/out" || fault "help $command and $command --help differ"
	# every option that help shows is one: never "no such option"
	sed -n 's/^  --\([a-z-]*\).*/\1/p' "$TMP/first" >"$TMP/options"
	[ -s "$TMP/options" ] || fault "help $command: no options"
	while read -r option; do
		grep -q -- "Fl -$option\\b" man/pvimg.1 || [ "$option" = help ] ||
			fault "man/pvimg.1 does not have --$option of $command"
	done <"$TMP/options"
done
shows 'usage: pvimg COMMAND' --help
shows 'pvimg 0.' --version

run
[ "$rc" -eq 2 ] || fault "without a command: exit code $rc"
tail -n 1 "$TMP/err" | grep -qx 'pvimg: a command is missing' || fault "without a command: not said"
refused 2 'bulid: no such command, did you mean build' bulid
refused 2 'no such command' -x
refused 2 'no such command' help nothing
refused 2 'NAME... is missing' build
refused 2 'NAME is missing' plan
refused 2 'IMAGE is missing' lint
refused 2 'b is one word too many' plan a b
refused 2 'x is one word too many' list x
refused 2 '--sute: no such option of build, did you mean --suite' build debian-2g --sute jammy
refused 2 '--explain: no such option of build' build --explain debian-2g
refused 2 '-z: no such option of list' list -z
refused 2 '--out: a value is missing' build debian-2g --out
refused 2 '--out: the value is empty' build debian-2g --out=
refused 2 '--cache: the value is empty' plan debian-2g --cache ''
for jobs in 0 65 x -1 1.5 ''; do
	refused 2 'a number from 1 to 64 is wanted' build debian-2g --jobs="$jobs"
done
refused 2 'debian-2g is named twice' build debian-2g debian-1g debian-2g
refused 3 'did you mean "debian-2g"' build debain-2g
refused 3 'not a path' build ../recipes/debian-2g
refused 3 'not a path' plan ''
refused 3 '/nonexistent' plan debian-2g --recipes /nonexistent
refused 1 'No such file or directory' lint "$TMP/nothing"
HOME='' XDG_CACHE_HOME='' refused 4 '--cache DIR' plan debian-2g
if [ -e "$TMP/.cache" ] || [ -e out/images/.debain-2g.lock ]; then
	fault "a refused command left files"
fi

# what cannot be written is an error, whatever else went well
rc=0
"$PVIMG" list >/dev/full 2>"$TMP/err" || rc=$?
[ "$rc" -eq 1 ] || fault "list to a full disk: exit code $rc"
grep -q '^pvimg: standard output: No space left' "$TMP/err" || fault "list to a full disk: not said"

echo "$n calls, $bad faults"
[ "$bad" -eq 0 ] && [ "$n" -ge 45 ]
