#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish to xapi://: against the stand-in of tests/xapi, which keeps to xapi's rules and misbehaves when told to, or,
# with XAPI_URL, against a real pool. Whatever happens, the pool holds the old image or the new one, whole.
# With XAPI_URL=xapi://HOST[:PORT][/STORAGE]: PVIMG_XAPI_USER, PVIMG_XAPI_PASSWORD, and XAPI_PIN (SHA-256 of the
# certificate) or XAPI_CA.
# time limit: 1200
set -eu
HERE=$PWD
fail() {
	echo "$*"
	exit 1
}
for tool in python3 openssl curl; do
	command -v "$tool" >/dev/null || { echo "skipped: $tool is missing"; exit 77; }
done
XDG_CACHE_HOME=$TMP/cache
export XDG_CACHE_HOME
cd "$TMP"

# --- two images ---
mkdir a b
NAME=pvimg-test-$$
python3 - "$NAME" <<'PY'
import random, sys
M = 1 << 20
r = random.Random(7)
for folder, where in (("a", (0, 5, 11)), ("b", (2, 5, 17, 44))):
    with open(f"{folder}/{sys.argv[1]}.raw", "wb") as f:
        f.truncate(48 * M)
        for at in where:
            f.seek(at * M + 777)
            f.write(r.randbytes(M))
PY
A=a/$NAME.raw B=b/$NAME.raw

# --- the host ---
if [ -n "${XAPI_URL-}" ]; then
	URL=$XAPI_URL
	HOST=${URL#xapi://}
	HOST=${HOST%%/*}
	TRUST="--pin ${XAPI_PIN-}"
	[ -z "${XAPI_CA-}" ] || TRUST="--ca $XAPI_CA"
	STAND_IN=
else
	. "$HERE/tests/xapi/lib.sh"
	xapi_begin
	URL=xapi://127.0.0.1:$XAPI_PORT
	HOST=127.0.0.1:$XAPI_PORT
	TRUST="--ca $TMP/host.crt"
	STAND_IN=yes
fi
finish() {
	[ -n "$STAND_IN" ] || python3 "$HERE/tests/xapi/look.py" "$HOST" forget "$NAME"
	[ -z "$STAND_IN" ] || xapi_end
}
trap finish EXIT
trap 'exit 1' INT TERM

# publish IMAGE [OPTION...]: its output in out, its exit code in RC
publish() {
	image=$1
	shift
	RC=0
	# shellcheck disable=SC2086  # options
	"$PVIMG" publish "./$image" --to "$URL" --unverified $TRUST "$@" >out 2>&1 || RC=$?
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
	grep -q "$text" out || fail "publish $*: no word of '$text': $(cat out)"
}
holds() {
	got=$(python3 "$HERE/tests/xapi/look.py" "$HOST" whole "$NAME" "$A" "$B") || fail "looking for $1: $got"
	[ "$got" = "$1" ] || fail "the pool holds $got, not $1"
}

# --- what works ---
good "$A" --json
size=$(sed -n 's/^ *"sent": \([0-9]*\).*/\1/p' out)
[ "$size" -gt 6000000 ] || fail "how much was sent: $(cat out)"
holds "$A"
good "$A" --json
grep -q '"already": true' out || fail "published twice: $(cat out)"
holds "$A"
good "$B"
grep -q '1 older removed' out || fail "the older one is not removed: $(cat out)"
holds "$B"
good "$A" --keep 2
python3 "$HERE/tests/xapi/look.py" "$HOST" list "$NAME" >there
[ "$(wc -l <there)" -eq 2 ] || fail "--keep 2: $(cat there)"
grep -q "^$NAME (older, [0-9]*)" there || fail "--keep 2: $(cat there)"
good "$A"
holds "$A"

good "$B" --format vhd
holds "$B"
good "$A"

# two at once: one of them is newer, and stays
# shellcheck disable=SC2086  # options
"$PVIMG" publish "./$B" --to "$URL" --unverified $TRUST >other 2>&1 &
other=$!
publish "$A"
wait "$other" || fail "two at once: $(cat other)"
[ "$RC" -eq 0 ] || fail "two at once: $(cat out)"
good "$B"
good "$A"
holds "$A"
[ -n "$STAND_IN" ] || exit 0

# --- what a pool does to one ---
# puts N: so many uploads were begun
puts() {
	n=$(xapi_log | grep -c '^PUT /import task$') || :
	[ "$n" -eq "$1" ] || fail "$n uploads, expected $1: $(xapi_log)"
}

xapi_told '{"cut": 5000000, "times": 99}'
bad 6 'trying again' "$B"
puts 4
holds "$A"
# a connection that breaks at each tenth of an upload
was=$A is=$B
for tenth in 0 1 2 3 4 5 6 7 8 9; do
	xapi_told "{\"cut\": $((size * tenth / 10))}"
	good "$is"
	puts 2
	xapi_told '{}'
	holds "$is"
	was=$is is=$(if [ "$was" = "$A" ]; then echo "$B"; else echo "$A"; fi)
done
holds "$A"
xapi_told '{"cut": 3000000, "times": 99, "leave_half": true}'
bad 6 'broke\|Connection\|SSL\|reset' "$B"
xapi_told '{}'
holds "$A"

xapi_told '{"cut": 4000000}'
good "$B" --format vhd
puts 0
holds "$B"
xapi_told '{"rpc500": 2}'
good "$A" --format vhd
xapi_told '{"task_fails": "VDI_IO_ERROR", "times": 99, "leave_half": true}'
bad 6 'could not write to its storage' "$B" --format vhd
xapi_told '{}'
holds "$A"
xapi_told '{"rpc500": 2}'
good "$B"
xapi_told '{"put500": 1}'
good "$A"
holds "$A"
xapi_told '{"put500": 99}'
bad 6 'answered the upload with 500\|Broken pipe\|reset' "$B"
xapi_told '{"task_fails": "INTERNAL_ERROR"}'
bad 6 'INTERNAL_ERROR' "$B"
puts 1
holds "$A"
xapi_told '{"sr_size": 60000000}'
bad 6 'the storage is full' "$B"
puts 1
xapi_told '{"sr_size": 60000000, "leave_half": true}'
bad 6 'the storage is full' "$B"
xapi_told '{"garbage": true}'
bad 6 'is no JSON' "$B"
xapi_told '{}'
holds "$A"
xapi_told '{"expire_at": 1500000}'
good "$B"
holds "$B"
xapi_told '{"no_200": true}'
good "$A"
xapi_told '{}'
holds "$A"

# --- hosts of a pool ---
xapi_told '{"slave": "127.0.0.2"}'
bad 6 'certificate is not trusted' "$B"
TRUST="--pin $(xapi_pin host) --pin $(xapi_pin other)"
good "$B"
xapi_told "{\"redirect\": \"https://127.0.0.2:$XAPI_PORT\"}"
good "$A"
TRUST="--pin $(xapi_pin host)"
bad 6 'the certificate is not the pinned one' "$B"
xapi_told "{\"redirect\": \"http://127.0.0.2:$XAPI_PORT\"}"
bad 6 'no https' "$B"
xapi_told '{}'
holds "$A"
URL=xapi://localhost.localdomain:$XAPI_PORT
bad 6 'resolve\|connect\|trusted' "$B"
URL=xapi://127.0.0.1:$XAPI_PORT
TRUST="--ca $TMP/other.crt"
bad 6 'certificate is not trusted' "$B"
TRUST="--ca $TMP/name.crt"
bad 6 'certificate is not trusted' "$B"
TRUST=
bad 6 'certificate is not trusted' "$B"
TRUST="--ca $TMP/host.crt"

# --- storage, credentials ---
URL=xapi://127.0.0.1:$XAPI_PORT/Second%20storage
good "$B"
holds "$B"
URL=xapi://127.0.0.1:$XAPI_PORT/nowhere
bad 6 'nowhere: no storage has this name' "$A"
URL=xapi://127.0.0.1:$XAPI_PORT/DVD%20drives
bad 6 'holds CD images' "$A"
URL=xapi://127.0.0.1:$XAPI_PORT
PVIMG_XAPI_PASSWORD='sesame 4711' bad 6 'user name or password is wrong' "$A"
printf 'root\n%s\n' "$PVIMG_XAPI_PASSWORD" >credentials
chmod 600 credentials
( unset PVIMG_XAPI_PASSWORD; PVIMG_XAPI_CREDENTIALS=credentials; export PVIMG_XAPI_CREDENTIALS; good "$A" )
holds "$A"

# --- ends of pvimg itself, and of the image, while it is sent ---
# begin_slow: an upload of B that has begun and does not end
begin_slow() {
	xapi_told '{"slow": 5}'
	# shellcheck disable=SC2086  # options
	"$PVIMG" publish "./$B" --to "$URL" --unverified $TRUST >out 2>&1 &
	slow=$!
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		! xapi_log | grep -q '^PUT /import task$' || break
		sleep 0.5
	done
	sleep 1
}
for sig in INT TERM; do
	begin_slow
	kill -$sig "$slow"
	RC=0
	wait "$slow" || RC=$?
	[ "$RC" -eq "$([ $sig = INT ] && echo 130 || echo 143)" ] || fail "SIG$sig: exit status $RC: $(cat out)"
	[ "$(xapi_sessions)" -eq 0 ] || fail "SIG$sig: did not log out"
	xapi_told '{}'
	holds "$A"
done
begin_slow
printf x | dd of="$B" bs=1 seek=47710208 conv=notrunc status=none
xapi_told '{}'
RC=0
wait "$slow" || RC=$?
[ "$RC" -eq 1 ] || fail "a changed image: exit status $RC: $(cat out)"
grep -q "changed while it was sent" out || fail "a changed image: exit status $RC: $(cat out)"
printf '\0' | dd of="$B" bs=1 seek=47710208 conv=notrunc status=none
holds "$A"
begin_slow
kill -KILL "$slow"
wait "$slow" || :
xapi_told '{}'
sleep 6		# the stand-in's slow reader sees the end
python3 "$HERE/tests/xapi/look.py" "$HOST" list "$NAME" >there
[ "$(wc -l <there)" -eq 1 ] || fail "SIGKILL: $(cat there)"
good "$B"
good "$A"

! grep -q -e 'sesame' -e "$PVIMG_XAPI_PASSWORD" -e OpaqueRef all-output out || fail "a secret is in the output"
