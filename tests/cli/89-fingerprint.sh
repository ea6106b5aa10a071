#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish --show-fingerprint: the certificate that a host shows, whoever signed it, and not a byte of ours to it.
set -eu
HERE=$PWD
fail() {
	echo "$*"
	exit 1
}
command -v openssl >/dev/null || { echo "skipped: openssl is missing"; exit 77; }
XDG_CACHE_HOME=$TMP/cache
export XDG_CACHE_HOME
unset PVIMG_XAPI_USER PVIMG_XAPI_PASSWORD PVIMG_XAPI_CREDENTIALS OS_CLIENT_CONFIG_FILE OS_CLIENT_SECURE_FILE
cd "$TMP"
. "$HERE/tests/glance/lib.sh"
glance_cert host DNS:elsewhere.example,IP:192.0.2.7
PORT=$(free_ports 1)
mkfifo hold
openssl s_server -accept "127.0.0.1:$PORT" -cert host.pem -key host.key -msg <hold >server.log 2>&1 &
SERVER=$!
exec 8>hold
finish() {
	exec 8>&-
	kill "$SERVER" 2>/dev/null || :
	wait "$SERVER" 2>/dev/null || :
}
trap finish EXIT
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	! grep -q '^ACCEPT' server.log || break
	sleep 0.2
done
pin=$(openssl x509 -in host.crt -noout -fingerprint -sha256 | sed 's/.*=//')

# shows URL: it prints all there is to know of the certificate
shows() {
	"$PVIMG" publish --show-fingerprint "$1" >out 2>err || fail "$1: exit status $?: $(cat err)"
	[ "$(sed -n 1p out)" = "127.0.0.1:$PORT" ] || fail "$1: the host: $(cat out)"
	[ "$(sed -n 's/^  SHA-256  //p' out)" = "$pin" ] || fail "$1: the digest: $(cat out)"
	grep -q '^  subject  CN = host$' out || fail "$1: the subject: $(cat out)"
	grep -q '^  names    DNS:elsewhere.example, IP Address:192.0.2.7$' out || fail "$1: the names: $(cat out)"
	grep -qE '^  valid    [0-9-]+T[0-9:]+Z to [0-9-]+T[0-9:]+Z$' out || fail "$1: the dates: $(cat out)"
}
shows "https://127.0.0.1:$PORT"
shows "xapi://127.0.0.1:$PORT/storage"
shows "glance://127.0.0.1:$PORT/image"
printf 'clouds: { lab: { auth: { auth_url: "https://127.0.0.1:%s/v3", username: u, password: sesame } } }\n' "$PORT" >clouds.yaml
chmod 600 clouds.yaml
shows glance://lab
# the handshake was never finished, so nothing could follow
! grep -q '<<< .*Finished\|sesame\|GET \|POST ' server.log || fail "something was sent: $(cat server.log)"
grep -q '<<< .*ClientHello' server.log || fail "the server's log does not tell: $(cat server.log)"
"$PVIMG" publish --show-fingerprint "https://127.0.0.1:$PORT" --json >out || fail "--json: exit status $?"
grep -q "\"sha256\": \"$(echo "$pin" | tr -d : | tr A-F a-f)\"" out || fail "--json: $(cat out)"
# what it prints is what --pin takes: the host is trusted then, and asked for what it cannot give
truncate -s 1M i.raw
rc=0
PVIMG_XAPI_PASSWORD=sesame timeout 5 "$PVIMG" publish i.raw --unverified --to "xapi://127.0.0.1:$PORT" --pin "$pin" >out 2>&1 || rc=$?
grep -q 'POST /jsonrpc' server.log || fail "--pin of what was shown: $rc: $(cat out)"
grep -q '<<< .*Finished' server.log || fail "the server's log does not tell of an end: $(cat server.log)"

# refused CODE TEXT URL
refused() {
	rc=0
	"$PVIMG" publish --show-fingerprint "$3" >out 2>&1 || rc=$?
	[ "$rc" -eq "$1" ] || fail "$3: exit status $rc, expected $1: $(cat out)"
	grep -q "$2" out || fail "$3: no word of '$2': $(cat out)"
	[ "$(wc -l <out)" -eq 1 ] || fail "$3: more than one line: $(cat out)"
}
refused 6 '127.0.0.1:9: ' https://127.0.0.1:9
refused 2 'no host with a certificate' "simplestreams:$TMP/m"
refused 2 'only a host with https' 'glance://127.0.0.1:9292/?scheme=http'
refused 2 'no such target' http://127.0.0.1
