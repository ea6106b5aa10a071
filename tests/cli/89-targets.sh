#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# targets: in a recipe: where publish sends an image without --to; one that fails does not keep it from the others.
set -eu
fail() {
	echo "$*"
	exit 1
}
XDG_CACHE_HOME=$TMP/cache SOURCE_DATE_EPOCH=1790000000
export XDG_CACHE_HOME SOURCE_DATE_EPOCH
cd "$TMP"
mkdir -p recipes out/img out/bare
# recipe NAME LINE...
recipe() {
	name=$1
	shift
	printf '%s\n' 'distribution: debian' 'suite: bookworm' 'flavor: {memory: 1GiB, vcpus: 1, disk: 2GiB}' "$@" \
		>"recipes/$name.yaml"
}
recipe bare
recipe img "targets: ['simplestreams:$TMP/a', 'simplestreams:$TMP/b', 'simplestreams:$TMP/c']"
truncate -s 4M out/img/img.raw out/bare/bare.raw
# publish CODE WORD...
publish() {
	code=$1 rc=0
	shift
	"$PVIMG" publish --recipes recipes --out out --unverified "$@" >said 2>err </dev/null || rc=$?
	[ "$rc" -eq "$code" ] || fail "publish $*: exit status $rc, expected $code: $(cat said err)"
}
told() { grep -qF -e "$1" "${2:-err}" || fail "no word of '$1': $(cat said err)"; }
there() { for d in a b c d; do [ ! -e "$d" ] || printf "%s " "$d"; done; }
have() { [ "$(there)" = "$1" ] || fail "there is: $(there), expected $1"; }

# --- all of the recipe's ---
publish 0 img
have 'a b c '
[ "$(cut -d' ' -f3 said | tr '\n' ' ')" = "simplestreams:$TMP/a simplestreams:$TMP/b simplestreams:$TMP/c " ] ||
	fail "the summary: $(cat said)"
[ "$(grep -c '"target"' out/img/publish.json)" -eq 3 ] || fail "the record: $(cat out/img/publish.json)"
publish 0 img
[ "$(grep -c 'was there already' said)" -eq 3 ] || fail "published twice: $(cat said)"

# --- --to says otherwise ---
rm -r a b c
publish 0 img --to "simplestreams:$TMP/d"
have 'd '
publish 0 out/bare/bare.raw --to "simplestreams:$TMP/d"
rm -r d

# --- failures: the first in the list, and the exit code is its; the others have the image ---
mkdir -p a/streams/v1
echo '[]' >a/streams/v1/index.json
publish 1 img
have 'a b c '
[ "$(wc -l <said)" -eq 2 ] || fail "two of three were published: $(cat said)"
told 'target 1 of 3: '
tail -n 1 err | grep -q '1 of 3 targets failed, the first of them: .*index:1.0' || fail "the last line: $(tail -n 1 err)"
mkdir -p c/streams/v1
echo '[]' >c/streams/v1/index.json
publish 1 img
told 'target 3 of 3: '
tail -n 1 err | grep -q '2 of 3 targets failed' || fail "the last line: $(tail -n 1 err)"
grep -q "simplestreams:$TMP/b .*was there already" said || fail "the second one: $(cat said)"
# one address that its target refuses, and none is touched
rm -r a b c
recipe img "targets: ['simplestreams:$TMP/a', 'xapi://ho st']"
publish 2 img
have ''

# --- nowhere to go ---
publish 2 bare
told 'the recipe bare has no targets'
publish 2 out/img/img.raw
told 'a path has no recipe'
publish 3 imgg
told 'did you mean "img"?'
recipe img 'targets: [xapi://root:sesame@host]'
publish 3 img
told 'img.yaml:4:11: targets: the value is refused: a password'
! grep -q sesame said err || fail "a password is shown: $(cat said err)"
printf '%s\n' 'kind: dom0' 'distribution: debian' 'suite: bookworm' 'targets: [xapi://host]' >recipes/img.yaml
publish 3 img
told 'says nothing about a dom0'
