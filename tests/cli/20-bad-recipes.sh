#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every recipe of tests/bad is refused by the program itself: exit code 3, exactly the findings of its .expect file
# before the last line, nothing on stdout, nothing written, no password shown.
set -eu
dir=$PWD/tests/bad
n=0 bad=0

for expect in "$dir"/*.expect; do
	name=${expect##*/}
	name=${name%.expect}
	rc=0
	"$PVIMG" build --no-verify --recipes "$dir" --out "$TMP/images" "$name" >"$TMP/out" 2>"$TMP/err" </dev/null || rc=$?
	# The last line is the program's own summary; paths are told in full there.
	sed -e '$d' -e "s|^$dir/||" "$TMP/err" >"$TMP/found"
	n=$((n + 1))
	if grep -q '^recipe ' "$expect"; then	# refused before it was read
		: >"$TMP/want"
	else
		cp "$expect" "$TMP/want"
	fi
	if [ $rc -ne 3 ] || ! cmp -s "$TMP/want" "$TMP/found" || [ -s "$TMP/out" ]; then
		echo "$name: exit code $rc, stderr:"
		cat "$TMP/err"
		bad=$((bad + 1))
	fi
	if ! tail -n 1 "$TMP/err" | grep -q '^pvimg: recipe '; then
		echo "$name: the last line does not name the recipe"
		bad=$((bad + 1))
	fi
	if grep -q hunter2 "$TMP/err" "$TMP/out"; then
		echo "$name: a password was shown"
		bad=$((bad + 1))
	fi
done
if [ -e "$TMP/images" ]; then
	echo "a refused recipe made $TMP/images"
	bad=$((bad + 1))
fi

# refused WORDS ARGUMENT...: exit code 3 and the words in one line of stderr
refused() {
	words=$1
	shift
	rc=0
	"$PVIMG" plan "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || rc=$?
	n=$((n + 1))
	if [ $rc -ne 3 ] || ! grep -qF -e "$words" "$TMP/err" || grep -q hunter2 "$TMP/err"; then
		echo "plan $*: exit code $rc, not 3 with \"$words\":"
		cat "$TMP/err"
		bad=$((bad + 1))
	fi
}
refused 'did you mean "debian-2g"?' debain-2g
refused 'not a path' ../recipes/debian-2g
refused '--set: flavor.memory: "4GB" is no size; did you mean "4GiB"?' debian-2g --set flavor.memory=4GB
refused '--suite: suite: "noble" is no suite of debian, which has bookworm, trixie' debian-2g --suite noble
refused '--mirror: mirror: the value is refused' debian-2g --mirror 'http://u:hunter2@mirror.example/a b'

echo "$n refused, $bad wrong"
[ $bad -eq 0 ] && [ $n -ge 35 ]
