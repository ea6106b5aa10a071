#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A cache that builders share: each stage is made once in a fleet, the bytes are those of a build without, and a registry that is
# not there or lies costs a warning and nothing else. Some of the lies, or with PVIMG_LIES=all each of them (tests/publish/20).
# time limit: 900
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
bt_need docker-registry ssh-keygen
BT_QUIET=1 MI_KEEP=yes
mi_begin

end() {
	exec 9>&-
	for pid in ${REGISTRY-} ${LIAR-}; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	mi_end
}
trap end EXIT

# --- a registry, keys, an image ---
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$TMP/registry.yml" <<EOF
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $TMP/registry}}
http: {addr: 127.0.0.1:$PORT}
EOF
docker-registry serve "$TMP/registry.yml" >"$TMP/registry.log" 2>&1 &
REGISTRY=$!
mkfifo "$TMP/hold-liar"
python3 tests/registry/liar.py "http://127.0.0.1:$PORT" "$TMP/liar-port" <"$TMP/hold-liar" >"$TMP/liar.log" 2>&1 &
LIAR=$!
exec 9>"$TMP/hold-liar"
for i in 1 2 3 4 5 6 7 8 9 10; do
	[ ! -s "$TMP/liar-port" ] || ! curl -sf --noproxy '*' "http://127.0.0.1:$PORT/v2/" >/dev/null || break
	sleep 0.3
done
LIAR_URL=http://127.0.0.1:$(cat "$TMP/liar-port") || bt_fail "the lying registry does not start (looked $i times)"
GOOD=http://127.0.0.1:$PORT/pvimg

for k in fleet stranger; do bt_as ssh-keygen -q -t ed25519 -N '' -C '' -f "$BT_HOME/$k"; done
for k in fleet stranger; do
	printf 'builders@%s namespaces="pvimg-cache" %s\n' "$k" "$(cat "$BT_HOME/$k.pub")" >"$BT_HOME/signers-$k"
done
printf 'us er:p@ss:w/d\n' >"$BT_HOME/login"
chmod 600 "$BT_HOME/login"
mkdir -p "$BT_HOME/overlays/x/etc"
echo one >"$BT_HOME/overlays/x/etc/x.conf"
echo 'overlays: [x]' >>"$BT_HOME/recipes/mini.yaml"
[ "$(id -u)" -ne 0 ] || chown -R "$BT_USER:" "$BT_HOME/recipes" "$BT_HOME/overlays" "$BT_HOME/login"

sum() { sha256sum <"$1" | cut -d' ' -f1; }
# build WHAT CACHE OPTION...: what ran is in $RAN, the disk's digest in $SUM
build() {
	what=$1 cache=$2
	shift 2
	rm -rf "$MI_OUT/mini"
	MI_RC=0
	mi_build mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini" --cache "$BT_HOME/$cache" "$@"
	bt_is "$what: exit status" "$MI_RC" 0
	[ "$MI_RC" -eq 0 ] || { tail -5 "$TMP/err"; return 0; }
	RAN=$(bt_json "$MI_OUT/mini/report.json" '" ".join(s["name"] for s in d["stages"] if s["state"] == "done")')
	SUM=$(sum "$MI_OUT/mini/mini.raw")
	bt_say "   $what: $RAN"
}
# warned WHAT PATTERN: one warning, and it says why
warned() {
	bt_is "$1: warnings" "$(grep -c 'the remote cache' "$TMP/err")" 1
	bt_is "$1: the warning says why" "$(grep 'the remote cache' "$TMP/err" | grep -Ec -- "$2")" 1
	bt_say "   $(grep 'the remote cache' "$TMP/err" | head -1 | cut -c1-220)"
}
SHARED="--cache-remote $GOOD --cache-signers $BT_HOME/signers-fleet"
PUSH="--cache-push --cache-key $BT_HOME/fleet"

# --- the fleet ---
# shellcheck disable=SC2086 # words of a command line
{
	MI_ENV=SOURCE_DATE_EPOCH=1700000000 build "another epoch, pushed" a $SHARED $PUSH
	bt_is "another epoch: no warning" "$(grep -c 'remote cache' "$TMP/err")" 0
	MI_ENV=
	build "first builder" a $SHARED $PUSH
	bt_is "first builder: what ran" "$RAN" "plan pull fetch bootstrap install configure image"
	bt_is "first builder: no warning" "$(grep -c 'remote cache' "$TMP/err")" 0
	first=$SUM
	build "second builder" b $SHARED
	bt_is "second builder: what ran" "$RAN" "plan pull restore image"
	bt_is "second builder: the same disk" "$SUM" "$first"
	build "second builder, again" b $SHARED
	bt_is "second builder, again: what ran" "$RAN" "plan restore image"
	rm -rf "$BT_HOME/c"
	cp -a "$BT_HOME/a" "$BT_HOME/c"
	rm -rf "$BT_HOME/c/stages/configure"
	build "a second push of the same" c --cache-remote "$GOOD" --cache-signers "$BT_HOME/signers-stranger" $PUSH
	bt_is "a second push of the same: who is unknown is not believed" "$RAN" \
		"plan restore configure image"
	bt_is "a second push of the same: the same disk" "$SUM" "$first"
	warned "a second push of the same, pulled from a stranger" "no key of .*signers-stranger"
}

# --- lies ---
all() { [ "${PVIMG_LIES:-some}" = all ]; }
# Of the stages only configure is missing here.
lie() {
	what=$1 pattern=$2
	shift 2
	rm -rf "$BT_HOME/b/stages/configure"
	build "$what" b --cache-signers "$BT_HOME/signers-fleet" "$@"
	bt_is "$what: what ran" "$RAN" "plan restore configure image"
	bt_is "$what: the disk is right" "$SUM" "$first"
	warned "$what" "$pattern"
}
lie "status 500" "answered 500" --cache-remote "$LIAR_URL/s500/pvimg"
bt_is "a server that said no is let alone" "$(curl -s --noproxy '*' "$LIAR_URL/count/s500")" 1
lie "half a blob" "127.0.0.1.*(bytes|closed|transfer)" --cache-remote "$LIAR_URL/half/pvimg"
lie "a good object under the wrong key" "meant for another key" --cache-remote "$LIAR_URL/swapped/pvimg"
lie "another record's signature" "signature is not good" --cache-remote "$LIAR_URL/unsigned/pvimg"
lie "nothing listens" "127.0.0.1" --cache-remote "http://127.0.0.1:1/pvimg"
if all; then
	for status in 401 429; do lie "status $status" "answered $status" --cache-remote "$LIAR_URL/s$status/pvimg"; done
	lie "the wrong blob" "another blob" --cache-remote "$LIAR_URL/wrong/pvimg"
	lie "no manifest" "manifest is not one of pvimg's" --cache-remote "$LIAR_URL/junk/pvimg"
	lie "a manifest without end" "longer than" --cache-remote "$LIAR_URL/long/pvimg"
	lie "no credentials" "401" --cache-remote "$LIAR_URL/basic/pvimg"
fi

for login in basic bearer; do
	all || [ "$login" = bearer ] || continue
	rm -rf "$BT_HOME/b/stages/configure"
	build "$login" b --cache-remote "$LIAR_URL/$login/pvimg" --cache-signers "$BT_HOME/signers-fleet" \
		--cache-credentials "$BT_HOME/login"
	bt_is "$login: what ran" "$RAN" "plan pull restore image"
	bt_is "$login: the same disk" "$SUM" "$first"
	bt_is "$login: the password is nowhere" "$(grep -rl 'p@ss' "$TMP/err" "$MI_OUT/mini" | head -1)" ""
done

# --- refused before anything is done ---
refused() {
	what=$1 pattern=$2
	shift 2
	mi_build mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini" "$@"
	bt_is "$what: exit status" "$MI_RC" 2
	bt_is "$what: says why" "$(grep -Ec -- "$pattern" "$TMP/err")" 1
}
refused "no signers" "cache-signers" --cache-remote "$GOOD"
refused "no key to push with" "cache-key" --cache-remote "$GOOD" --cache-signers "$BT_HOME/signers-fleet" --cache-push
refused "plain http to elsewhere" "https is wanted" --cache-remote http://192.0.2.1/pvimg \
	--cache-signers "$BT_HOME/signers-fleet"
refused "a password in the URL" "not for the URL" --cache-remote "https://u:secret@127.0.0.1/pvimg" \
	--cache-signers "$BT_HOME/signers-fleet"
bt_is "a password in the URL: is not shown" "$(grep -c secret "$TMP/err")" 0
chmod 644 "$BT_HOME/login"
refused "credentials that others may read" "chmod 600" --cache-remote "$GOOD" --cache-signers "$BT_HOME/signers-fleet" \
	--cache-credentials "$BT_HOME/login"
mi_left
mi_verdict
