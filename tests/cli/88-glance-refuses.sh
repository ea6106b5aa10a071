#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish --to glance://: what it refuses before it talks to anybody, and without a word of a password.
set -eu
fail() {
	echo "$*"
	exit 1
}
XDG_CACHE_HOME=$TMP/cache HOME=$TMP
export XDG_CACHE_HOME HOME
for variable in $(env | sed -n 's/^\(OS_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done
cd "$TMP"
truncate -s 2M img.raw

# refused CODE TEXT TO [OPTION...]: in one line
refused() {
	code=$1 text=$2 to=$3
	shift 3
	rc=0
	"$PVIMG" publish img.raw --unverified --to "$to" "$@" >out 2>&1 || rc=$?
	[ "$rc" -eq "$code" ] || fail "--to $to $*: exit status $rc, expected $code: $(cat out)"
	grep -q -e "$text" out || fail "--to $to $*: no word of '$text': $(cat out)"
	[ "$(wc -l <out)" -eq 1 ] || fail "--to $to $*: more than one line: $(cat out)"
	! grep -q 'sesame' out || fail "--to $to $*: a password is shown: $(cat out)"
}

# --- the address ---
HERE=glance://127.0.0.1:9/
refused 2 'glance://CLOUD or' glance://
refused 2 'glance://CLOUD or' 'glance://a b'
refused 2 'glance://CLOUD or' "${HERE}..//"
refused 2 'would be seen by others' glance://me:sesame@host/
refused 2 'there is no clouds.yaml' glance://host
refused 2 'OS_AUTH_URL is not set' glance://envvars
refused 2 'visibility: private, shared' "$HERE?visibility=secret"
refused 2 'format: qcow2-zlib' "$HERE?format=xva"
refused 2 'old: keep, hide or delete' "$HERE?format=raw&old="
refused 2 'color: no such word' "$HERE?color=red"
refused 2 'scheme: https, or' "$HERE?scheme=ftp"
refused 2 'scheme goes with an address' 'glance://cloud?scheme=http'
refused 2 'leave one out' "$HERE?old=keep" --keep 2
refused 2 'glance takes one of' "$HERE" --format xva
refused 2 'glance takes one of' "$HERE" --format vhd
refused 2 'glance takes one of' "$HERE" --format qcow2,raw

# --- clouds.yaml ---
cloud() { printf 'clouds:\n  lab:\n    auth: { %s }\n' "$1" >clouds.yaml; }
cloud 'auth_url: "https://127.0.0.1:9", username: u, password: sesame'
chmod 644 clouds.yaml
refused 2 'chmod 600 clouds.yaml' glance://lab
chmod 600 clouds.yaml
refused 2 'no cloud of that name' glance://other
echo 'clouds: { lab: { auth: [ sesame' >clouds.yaml
refused 2 'is no YAML' glance://lab
cloud 'auth_url: "https://127.0.0.1:9", username: u'
refused 2 'password is missing (OS_PASSWORD)' glance://lab
OS_PASSWORD=sesame refused 2 'auth_url is missing (OS_AUTH_URL)' "$HERE"

# --- what goes on to a host that does not answer, in the end ---
rc=0
cloud 'auth_url: "https://127.0.0.1:9", username: u, password: sesame'
timeout -s INT 1 "$PVIMG" publish img.raw --unverified --to glance://lab --format vhd-tar-gz >out 2>&1 || rc=$?
case $rc in 6 | 124 | 130) ;; *) fail "nobody there: exit status $rc: $(cat out)" ;; esac
! grep -q 'sesame' out || fail "a password is shown: $(cat out)"
