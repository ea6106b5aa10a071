#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish to s3://: Debian's Swift with its S3 interface, which checks every signature and every MD5; before it a proxy that
# cuts connections, loses answers and answers on its own when told to. A reader of its own finds the old version or the new one,
# whole, whatever happened.
# time limit: 420
set -eu
HERE=$PWD
fail() {
	echo "$*"
	exit 1
}
for tool in swift-proxy-server swift-object-server swift-ring-builder memcached python3; do
	command -v "$tool" >/dev/null || { echo "skipped: $tool is missing"; exit 77; }
done
XDG_CACHE_HOME=$TMP/cache SOURCE_DATE_EPOCH=1790000000
export XDG_CACHE_HOME SOURCE_DATE_EPOCH
for variable in $(env | sed -n 's/^\(AWS_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done
HOME=$TMP
export HOME
cd "$TMP"
# shellcheck source=tests/s3/lib.sh
. "$HERE/tests/s3/lib.sh"

# image FOLDER SEED: 64 MiB of which 40 do not compress: three parts
image() {
	mkdir -p "$1"
	python3 - "$1/img.raw" "$2" <<-'PY'
	import random, sys
	r = random.Random(int(sys.argv[2]))
	with open(sys.argv[1], "wb") as f:
	    f.truncate(64 << 20)
	    for at in range(1, 41):
	        f.seek(at << 20)
	        f.write(r.randbytes(1 << 20))
	PY
}
for i in 1 2 3 4 5 6 7; do image "i$i" "$i"; done
trap s3_end EXIT
trap 'exit 1' INT TERM
s3_begin || fail "Swift does not begin"
URL="s3://images/x?$S3_OPTIONS"

# publish IMAGE [OPTION...]: its output in out, its exit code in RC
publish() {
	image=$1
	shift
	RC=0
	"$PVIMG" publish "$image" --to "$URL" --unverified "$@" >out 2>&1 || RC=$?
	cat out >>all-output
}
good() {
	publish "$@"
	[ "$RC" -eq 0 ] || fail "publish $*: exit status $RC: $(cat out)"
}
# bad CODE TEXT IMAGE [OPTION...]
bad() {
	code=$1 text=$2
	shift 2
	publish "$@"
	[ "$RC" -eq "$code" ] || fail "publish $*: exit status $RC, expected $code: $(cat out)"
	grep -q -e "$text" out || fail "publish $*: no word of '$text': $(cat out)"
}
sum() { sha256sum "$1" | cut -c1-8; }
# holds FOLDER VERSIONS: the reader gets through, and sees this image as the newest, among so many
holds() {
	look mirror images x/ >reader 2>&1 || fail "the reader does not get through: $(cat reader)"
	grep -qE "^pvimg:img:amd64 [0-9.]+ $2 $(sum "$1/img.raw") " reader || fail "the reader sees $(cat reader)"
}
# nothing besides what the lists name: no lock, no upload half done
free() { ! look keys images x/ | grep -q '\.lock$' || fail "a lock is left"; }
tidy() {
	[ -z "$(look uploads images)" ] || fail "an upload is left: $(look uploads images)"
	free
}
parts() { grep -c 'PUT .*partNumber=' requests || :; }

# --- once, and again ---
good i1/img.raw
grep -q 'img  s3://images/x  version pvimg:img:amd64 20260921  published' out || fail "said: $(cat out)"
holds i1 1
tidy
[ "$(parts)" -eq 3 ] || fail "parts: $(parts)"
grep -q '"target": "s3://images/x"' i1/publish.json || fail "no record: $(cat i1/publish.json)"
s3_told '{}'
good i1/img.raw
grep -q 'was there already' out || fail "published twice: $(cat out)"
! grep -qE '^(PUT|POST|DELETE)' requests || fail "publishing twice wrote: $(grep -E '^(PUT|POST|DELETE)' requests)"

# --- a connection that breaks anywhere: the same run goes on ---
wipe() {
	look keys images x/ >everything
	while read -r key; do look delete images "$key"; done <everything
}
for at in 100000 9000000 18000000 30000000 41000000; do
	wipe
	s3_told "{\"cut\": $at, \"times\": 2}"
	good i2/img.raw
	grep -q 'trying again' out || fail "cut at $at: nothing was cut: $(cat out)"
	holds i2 1
	tidy
done
wipe

# --- an interrupt after the first part; the next run sends the other two only ---
s3_told '{"wait": 20, "on": "partNumber=2"}'
"$PVIMG" publish i2/img.raw --to "$URL" --unverified >out 2>&1 &
pid=$!
i=0
until grep -q 'partNumber=2' requests; do
	i=$((i + 1))
	[ "$i" -lt 300 ] || fail "no second part: $(cat out requests)"
	sleep 0.1
done
kill -INT "$pid"
rc=0
wait "$pid" || rc=$?
[ "$rc" -eq 130 ] || fail "interrupted: exit status $rc: $(cat out)"
s3_told '{}'
good i2/img.raw
[ "$(parts)" -eq 2 ] || fail "after an interrupt $(parts) parts were sent, not the two that were missing"
holds i2 1
tidy

# --- answers that were lost, and answers that may pass ---
s3_told '{"lose": "uploadId="}'
good i3/img.raw
holds i3 2
s3_told '{"lose": "v1/index.json"}'
good i4/img.raw --keep 2
holds i4 2
grep -q '1 older removed' out || fail "keep: $(cat out)"
[ "$(look keys images x/images/ | grep -c 'img.qcow2$')" -eq 2 ] || fail "files: $(look keys images x/images/)"
tidy
s3_told '{"status": 503, "code": "SlowDown", "times": 3, "on": "streams/v1"}'
good i5/img.raw
[ "$(grep -c 'trying again' out)" -eq 3 ] || fail "503: $(cat out)"
holds i5 3

# --- and those that do not pass: once, and the mirror is as it was ---
for case in '403 AccessDenied s3:PutObject' '404 NoSuchBucket .make.it.first' '403 RequestTimeTooSkewed set.the.clock'; do
	# shellcheck disable=SC2086  # three words
	set -- $case
	s3_told "{\"status\": $1, \"code\": \"$2\", \"times\": 9, \"on\": \"PUT\"}"
	bad 6 "$2.*$(echo "$3" | tr . ' ')" i6/img.raw
	[ "$(grep -c '^PUT' requests)" -eq 1 ] || fail "$2 was tried again: $(cat requests)"
done
holds i5 3
s3_told '{}'
AWS_SECRET_ACCESS_KEY=sesame4711 bad 6 'SignatureDoesNotMatch: the secret key is wrong' i6/img.raw
URL="s3://nobucket/x?$S3_OPTIONS" bad 6 'NoSuchBucket' i6/img.raw
holds i5 3
free

# --- two at once: both are there in the end ---
"$PVIMG" publish i6/img.raw --to "$URL" --unverified >out6 2>&1 &
pid=$!
good i7/img.raw --keep 9
wait "$pid" || fail "the other one: $(cat out6)"
look mirror images x/ >reader || fail "the reader does not get through"
look get images x/streams/v1/pvimg.images.json >list
for i in i6 i7; do
	grep -q "$(sha256sum "$i/img.raw" | cut -c1-64)" list || fail "$i was lost: $(cat reader)"
	grep -q '"target": "s3://images/x"' "$i/publish.json" || fail "$i: not recorded"
done
tidy
for i in 6 7; do
	good "i$i/img.raw" --keep 9
done
look mirror images x/ >reader || fail "the reader does not get through"
tidy

# --- a lock that a killed run left ---
printf 'somebody' | look put images x/.lock
"$PVIMG" publish i1/img.raw --to "$URL" --unverified >out 2>&1 &
pid=$!
i=0
until grep -q 'somebody else is publishing' out; do
	i=$((i + 1))
	[ "$i" -lt 300 ] || fail "the lock is not minded: $(cat out)"
	sleep 0.1
done
look delete images x/.lock
wait "$pid" || fail "after the lock went: $(cat out)"
holds i1 '[0-9]+'

# --- nothing secret was said, nothing is left here ---
! grep -qE 'testing4711|sesame4711' all-output out out6 || fail "a secret is shown"
[ -z "$(find "$XDG_CACHE_HOME/pvimg/work" -mindepth 1 2>/dev/null)" ] || fail "left: $(find "$XDG_CACHE_HOME/pvimg/work")"
