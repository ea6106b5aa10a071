#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish: what it refuses before it talks to anybody, and without a word of a password.
set -eu
fail() {
	echo "$*"
	exit 1
}
XDG_CACHE_HOME=$TMP/cache
export XDG_CACHE_HOME
unset PVIMG_XAPI_USER PVIMG_XAPI_PASSWORD PVIMG_XAPI_CREDENTIALS
cd "$TMP"
mkdir img
truncate -s 2M img/img.raw
# nobody listens there
TO=xapi://127.0.0.1:9

# refused CODE TEXT OPTION...
refused() {
	code=$1 text=$2
	shift 2
	rc=0
	"$PVIMG" publish "$@" >out 2>&1 || rc=$?
	[ "$rc" -eq "$code" ] || fail "publish $*: exit status $rc, expected $code: $(cat out)"
	grep -q -e "$text" out || fail "publish $*: no word of '$text': $(cat out)"
	[ "$(wc -l <out)" -eq 1 ] || fail "publish $*: more than one line: $(cat out)"
	! grep -q 'sesame' out || fail "publish $*: a password is shown: $(cat out)"
}

# --- the command line ---
refused 2 'IMAGE is missing' --to "$TO"
refused 2 -- '--to URL is missing' img/img.raw
refused 2 'no such target' img/img.raw --to ftp://host
refused 2 'is wanted' img/img.raw --to xapi://
refused 2 'is wanted' img/img.raw --to 'xapi://ho st'
refused 2 'would be seen by others' img/img.raw --to xapi://root:sesame@host
refused 2 'one storage is wanted' img/img.raw --to "$TO/a/b"
refused 2 'one storage is wanted' img/img.raw --to "$TO/a%0"
refused 2 'one storage is wanted' img/img.raw --to "$TO/a%00"
refused 2 'one storage is wanted' img/img.raw --to "$TO/a%ff"
refused 2 'leave one out' img/img.raw --to "$TO" --ca x --pin "$(printf '%064d' 0)"
refused 2 '64 digits' img/img.raw --to "$TO" --pin abc
refused 2 'a number from 1' img/img.raw --to "$TO" --keep 0

# a host of xl: what it is sent is a command there, so what is no plain address is none at all
XL=xl+ssh://127.0.0.1:9
refused 2 'a folder is wanted' img/img.raw --to "$XL" --unverified
refused 2 'is wanted' img/img.raw --to 'xl+ssh://-oProxyCommand=id/x' --unverified
refused 2 'would be seen by others' img/img.raw --to xl+ssh://root:sesame@host/x --unverified
refused 2 'control characters' img/img.raw --to "$XL/a%0ab" --unverified
refused 2 'takes raw only' img/img.raw --to "$XL/x" --unverified --format vhd
refused 2 'only xl+ssh' img/img.raw --to simplestreams:mirror --unverified --start

# a bucket: the environment is this test's own
for variable in $(env | sed -n 's/^\(AWS_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done
HOME=$TMP
export HOME
refused 2 'no credentials' img/img.raw --to s3://bucket/x --unverified
AWS_ACCESS_KEY_ID=AK AWS_SECRET_ACCESS_KEY=sesame
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
refused 2 'no region' img/img.raw --to s3://bucket/x --unverified
refused 2 'loopback' img/img.raw --to 's3://bucket/x?endpoint=http://host' --unverified

# --- credentials ---
refused 2 'no password' img/img.raw --to "$TO" --unverified
printf 'root\nsesame\n' >credentials
chmod 644 credentials
PVIMG_XAPI_CREDENTIALS=credentials
export PVIMG_XAPI_CREDENTIALS
refused 2 'chmod 600' img/img.raw --to "$TO" --unverified
chmod 600 credentials
printf 'sesame' >credentials
refused 2 'two lines' img/img.raw --to "$TO" --unverified
PVIMG_XAPI_CREDENTIALS=nowhere
refused 2 'No such file' img/img.raw --to "$TO" --unverified
unset PVIMG_XAPI_CREDENTIALS
PVIMG_XAPI_PASSWORD=sesame
export PVIMG_XAPI_PASSWORD

# --- the verdict ---
sum=$(sha256sum img/img.raw)
sum=${sum%% *}
# verdict GREEN DRIVER MEMORY SHA256
verdict() {
	printf '{"schema": "pvimg.verdict/1", "green": %s, "driver": "%s", "memory": %s, "vcpus": 2, "image_sha256": "%s"}' \
		"$@" >img/verdict.json
}
# manifest ARCHIVE
manifest() {
	printf '{"schema": "pvimg.manifest/1", "name": "img", "archive": "%s", "flavor": {"memory": 1024, "vcpus": 2}}' \
		"$1" >img/manifest.json
}
refused 5 'has no verdict' img/img.raw --to "$TO"
manifest stand-in
refused 5 'stand-in' img/img.raw --to "$TO"
refused 5 'stand-in' img/img.raw --to "$TO" --unverified
manifest distribution
verdict false xl 1024 "$sum"
refused 5 'not green' img/img.raw --to "$TO"
verdict true kvm-xen 1024 "$sum"
refused 5 'accept-driver kvm-xen' img/img.raw --to "$TO"
verdict true xl 2048 "$sum"
refused 5 'another size' img/img.raw --to "$TO"
verdict true xl 1024 ''
refused 5 'names no digest' img/img.raw --to "$TO"
echo '{' >img/verdict.json
refused 5 'is no pvimg.verdict/1' img/img.raw --to "$TO"

# refused_late: the same, after the image was read: the log's lines come before
refused_late() {
	code=$1 text=$2
	shift 2
	rc=0
	"$PVIMG" publish "$@" >out 2>&1 || rc=$?
	[ "$rc" -eq "$code" ] || fail "publish $*: exit status $rc, expected $code: $(cat out)"
	tail -n 1 out | grep -q -e "$text" || fail "publish $*: no word of '$text': $(cat out)"
	! grep -q 'sesame' out || fail "publish $*: a password is shown: $(cat out)"
}
verdict true xl 1024 "$(printf '%064d' 1)"
refused_late 1 'not the 0*1 that was verified' img/img.raw --to "$TO"
rm -r img/verdict.json img/manifest.json
truncate -s 3000000 odd.raw
refused_late 2 'no whole number of MiB' odd.raw --to "$TO" --unverified
refused_late 1 'cannot open' nowhere.raw --to "$TO" --unverified
# a verdict for exactly these bytes lets it pass, up to a host that does not answer
manifest distribution
verdict true xen-in-qemu 1024 "$sum"
refused_late 6 'https://127.0.0.1:9' img/img.raw --to "$TO"
