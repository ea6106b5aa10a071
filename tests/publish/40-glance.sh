#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish to glance://: Debian's real Glance takes every format and gives the same bytes back; behind a front that speaks
# TLS, stands in for Keystone and misbehaves when told to. Whatever happens, Glance holds the old image or the new one, whole.
# time limit: 240
set -eu
HERE=$PWD
fail() {
	echo "$*"
	exit 1
}
for tool in glance-api glance-manage python3 openssl curl qemu-img; do
	command -v "$tool" >/dev/null || { echo "skipped: $tool is missing"; exit 77; }
done
XDG_CACHE_HOME=$TMP/cache
export XDG_CACHE_HOME
for variable in $(env | sed -n 's/^\(OS_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done
HOME=$TMP
export HOME
cd "$TMP"
. "$HERE/tests/glance/lib.sh"

# --- two images ---
mkdir a b
python3 - <<'PY'
import random
M = 1 << 20
r = random.Random(7)
for folder, where in (("a", (0, 5, 11)), ("b", (2, 5, 17, 24))):
    with open(f"{folder}/img.raw", "wb") as f:
        f.truncate(32 * M)
        for at in where:
            f.seek(at * M + 777)
            f.write(r.randbytes(M))
PY
A=a/img.raw B=b/img.raw

glance_begin "$TMP/images"
trap glance_end EXIT
trap 'exit 1' INT TERM
OPEN=glance://127.0.0.1:$FRONT_PORT/open
TRUST="--ca $TMP/host.crt"
URL=$OPEN

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
	[ "$RC" -eq 0 ] || fail "publish $* to $URL: exit status $RC: $(cat out)"
}
# bad CODE TEXT IMAGE [OPTION...]
bad() {
	code=$1 text=$2
	shift 2
	publish "$@"
	[ "$RC" -eq "$code" ] || fail "publish $* to $URL: exit status $RC, expected $code: $(cat out)"
	grep -q "$text" out || fail "publish $* to $URL: no word of '$text': $(cat out)"
}
# list: ID NAME STATUS FORMAT HIDDEN of every image, newest first; by Glance itself
list() {
	python3 - "$GLANCE" <<'PY'
import json, sys, urllib.request
found = []
for hidden in ("", "&os_hidden=true"):
    with urllib.request.urlopen(sys.argv[1] + "/v2/images?limit=200" + hidden) as r:
        found += json.load(r)["images"]
for i in sorted(found, key=lambda i: -int(i.get("pvimg_serial", 0))):
    print(i["id"], i["name"], i["status"], i["disk_format"] + "/" + i["container_format"], i["os_hidden"])
PY
}
# holds IMAGE [COUNT]: the newest is this one, whole, and there are so many altogether
holds() {
	list >there
	[ "$(wc -l <there)" -eq "${2:-1}" ] || fail "Glance holds other than ${2:-1}: $(cat there)"
	read -r id name status form hidden <there
	[ "$name $status $hidden" = "img active False" ] || fail "Glance holds: $(cat there)"
	curl -s -o data "$GLANCE/v2/images/$id/file"
	case $form in
	raw/bare) cp data disk ;;
	qcow2/bare) qemu-img convert -f qcow2 -O raw data disk ;;
	vhd/ovf) tar -xzf data 0.vhd && qemu-img convert -f vpc -O raw 0.vhd disk ;;
	esac
	cmp disk "$1" || fail "what Glance gives back ($form) is not $1"
}
clear_all() {
	for id in $(list | cut -d ' ' -f 1); do
		curl -s -o deleted -X DELETE "$GLANCE/v2/images/$id"
	done
}
# puts N: so many uploads were begun
puts() {
	n=$(front_log | grep -c '^PUT ') || :
	[ "$n" -eq "$1" ] || fail "$n uploads, expected $1: $(front_log)"
}

# --- every format goes up and comes back; twice does nothing ---
for form in qcow2 qcow2-zlib raw vhd; do
	URL="$OPEN?format=$form"
	good "$A" --json
	holds "$A"
	front_told '{}'
	good "$A" --json
	grep -q '"already": true' out || fail "published twice: $(cat out)"
	puts 0
	holds "$A"
	clear_all
done
URL=$OPEN
good "$A" --format vhd-tar-gz
holds "$A"
# what the export writes is what is there
"$PVIMG" export "$A" --format vhd-tar-gz --out . >export.log 2>&1 || fail "export: $(cat export.log)"
cmp data img.vhd.tar.gz || fail "the export's file is another one"
curl -s "$GLANCE/v2/images/$id" >record
python3 - "$(sha256sum <"$A" | cut -c1-64)" <<'PY' || fail "the image's properties: $(cat record)"
import json, sys
r = json.load(open("record"))
want = {"vm_mode": "hvm", "hypervisor_type": "xen", "os_type": "linux", "architecture": "x86_64", "visibility": "private",
        "min_ram": 2048, "min_disk": 1, "pvimg_name": "img", "pvimg_sha256": sys.argv[1], "disk_format": "vhd",
        "container_format": "ovf"}
sys.exit({k: r.get(k) for k in want} != want)
PY
# another form of the same bytes is another image
good "$A"
holds "$A" 2
clear_all
date +%T
URL=$OPEN

# --- older ones: stay, are hidden, are deleted; only ours, of this name ---
curl -s -o alien -H 'Content-Type: application/json' -d '{"name": "img", "disk_format": "raw", "container_format": "bare"}' \
	"$GLANCE/v2/images"
alien=$(python3 -c 'import json; print(json.load(open("alien"))["id"])')
good "$A"
good "$B"
holds "$B" 3
good "$A"
holds "$A" 4
URL="$OPEN?old=hide"
good "$B"
grep -q 'is hidden now' out || fail "nobody says what was hidden: $(cat out)"
holds "$B" 5
[ "$(grep -c ' True$' there)" -eq 3 ] || fail "old=hide: $(cat there)"
URL=$OPEN
good "$A" --keep 2
grep -q '3 older removed' out || fail "--keep 2: $(cat out)"
holds "$A" 3
URL="$OPEN?old=delete"
good "$B"
grep -q '2 older removed' out || fail "old=delete: $(cat out)"
holds "$B" 2
grep -q "^$alien " there || fail "somebody else's image is gone: $(cat there)"
curl -s -o deleted -X DELETE "$GLANCE/v2/images/$alien"
holds "$B"

# two at once: one of them is newer, and stays
# shellcheck disable=SC2086  # options
"$PVIMG" publish "./$A" --to "$URL" --unverified $TRUST >other 2>&1 &
other=$!
publish "$B" --format raw
wait "$other" || fail "two at once: $(cat other)"
[ "$RC" -eq 0 ] || fail "two at once: $(cat out)"
list >there
[ "$(wc -l <there)$(grep -c ' img active ' there)" = 11 ] || fail "two at once: $(cat there)"
good "$B"
good "$A"
holds "$A"

# --- bad luck ---
good "$B"
good "$A" --json
size=$(sed -n 's/^ *"sent": \([0-9]*\).*/\1/p' out)
[ "$size" -gt 3000000 ] || fail "how much was sent: $(cat out)"
# a connection that breaks at each tenth of an upload
is=$B was=$A
for tenth in 0 1 2 3 4 5 6 7 8 9; do
	front_told "{\"cut\": $((size * tenth / 10))}"
	good "$is"
	puts 2
	holds "$is"
	swap=$is is=$was was=$swap
done
holds "$A"
front_told '{"cut": 2000000, "times": 99}'
bad 6 'trying again' "$B"
puts 4
holds "$A"
# broken off after the last byte: the image is there, and nothing is sent again
front_told '{"lose": ["PUT"]}'
good "$B"
puts 1
holds "$B"
# answers of other calls that are lost, and what fails for a while
for method in POST PATCH DELETE GET; do
	front_told "{\"lose\": [\"$method\"]}"
	good "$A"
	holds "$A"
	good "$B"
	holds "$B"
done
front_told '{"fail": {"PUT": 503}}'
good "$A"
puts 2
holds "$A"
front_told '{"fail": {"PUT": 503}, "times": 99}'
bad 6 'answered with 503: it fails' "$B"
puts 4
front_told '{"garbage": true}'
bad 6 'is no list of images' "$B"
# what does not pass is not tried again, and nothing is left
for status in 400 403 409 413; do
	for method in POST PUT; do
		front_told "{\"fail\": {\"$method\": $status}, \"times\": 99}"
		bad 6 "answered with $status" "$B"
		n=$(front_log | grep -c "^$method ") || :
		[ "$n" -eq 1 ] || fail "$method was tried $n times after $status: $(front_log)"
		front_told '{}'
		holds "$A"
	done
done
front_told '{"fail": {"PATCH": 403}, "times": 99}'
bad 6 'may not do this' "$B"
holds "$A"
# an older one that is protected stays, and that is said
read -r id rest <there
curl -s -o patched -X PATCH -H 'Content-Type: application/openstack-images-v2.1-json-patch' \
	-d '[{"op": "replace", "path": "/protected", "value": true}]' "$GLANCE/v2/images/$id"
front_told '{}'
bad 6 'is published as .* but older ones are still there' "$B"
holds "$B" 2
curl -s -o patched -X PATCH -H 'Content-Type: application/openstack-images-v2.1-json-patch' \
	-d '[{"op": "replace", "path": "/protected", "value": false}]' "$GLANCE/v2/images/$id"
good "$A"
holds "$A"
# digests
front_told '{"wrong_hash": true}'
bad 6 'another digest than what was sent' "$B"
front_told '{"no_hash": true}'
good "$B"
front_told '{}'
holds "$B"

# --- ends of pvimg itself, and of the image, while it is sent ---
# begin_slow IMAGE [OPTION...]: an upload of that has begun and does not end
begin_slow() {
	front_told '{"slow": 1}'
	image=$1
	shift
	# shellcheck disable=SC2086  # options
	"$PVIMG" publish "./$image" --to "$URL" --unverified $TRUST "$@" >out 2>&1 &
	slow=$!
	for _ in $(seq 1 40); do
		! list | grep -q ' saving ' || break
		sleep 0.2
	done
}
for sig in INT TERM; do
	begin_slow "$A"
	kill -$sig "$slow"
	RC=0
	wait "$slow" || RC=$?
	[ "$RC" -eq "$([ $sig = INT ] && echo 130 || echo 143)" ] || fail "SIG$sig: exit status $RC: $(cat out)"
	front_told '{}'
	holds "$B"
done
begin_slow "$A" --format raw
printf x | dd of="$A" bs=1 seek=33554000 conv=notrunc status=none
front_told '{}'
RC=0
wait "$slow" || RC=$?
[ "$RC" -eq 1 ] || fail "a changed image: exit status $RC: $(cat out)"
grep -q 'changed while it was sent' out || fail "a changed image: exit status $RC: $(cat out)"
printf '\0' | dd of="$A" bs=1 seek=33554000 conv=notrunc status=none
holds "$B"
# killed: what is left stays while somebody may still be at it, and goes when nobody touched it for a day
begin_slow "$A"
kill -KILL "$slow"
wait "$slow" 2>/dev/null || :
front_told '{}'
list >there
[ "$(grep -c "^[^ ]* img.uploading-" there)" -eq 1 ] || fail "SIGKILL: $(cat there)"
good "$A"
holds "$A" 2
python3 - <<'PY'
import sqlite3
db = sqlite3.connect("glance.db", timeout=10)
db.execute("UPDATE images SET updated_at = datetime(updated_at, '-2 days') WHERE name LIKE 'img.uploading-%'")
db.commit()
PY
good "$B"
holds "$B"
