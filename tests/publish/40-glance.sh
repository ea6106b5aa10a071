#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish to glance://: Debian's real Glance takes every format and gives the same bytes back; behind a front that speaks
# TLS, stands in for Keystone and misbehaves when told to. Whatever happens, Glance holds the old image or the new one, whole.
# time limit: 480
set -eu
HERE=$PWD
fail() {
	echo "$*"
	exit 1
}
for tool in glance-api glance-manage python3 openssl curl qemu-img unshare; do
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
for folder, where in (("a", (0, 5, 11)), ("b", (2, 5, 12, 14))):
    with open(f"{folder}/img.raw", "wb") as f:
        f.truncate(16 * M)
        for at in where:
            f.seek(at * M + 777)
            f.write(r.randbytes(M))
PY
A=a/img.raw B=b/img.raw

glance_begin 60
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
	curl -sk "$FRONT/_list"
}
# holds IMAGE [COUNT]: the newest is this one, whole, and there are so many altogether
holds() {
	list >there
	[ "$(wc -l <there)" -eq "${2:-1}" ] || fail "Glance holds other than ${2:-1}: $(cat there)"
	read -r id name state kind hidden <there
	[ "$name $state $hidden" = "img active False" ] || fail "Glance holds: $(cat there)"
	curl -s -o data "$GLANCE/v2/images/$id/file"
	case $kind in
	raw/bare) cp data disk ;;
	qcow2/bare) qemu-img convert -f qcow2 -O raw data disk ;;
	vhd/ovf) tar -xzf data 0.vhd && qemu-img convert -f vpc -O raw 0.vhd disk ;;
	esac
	cmp disk "$1" || fail "what Glance gives back ($kind) is not $1"
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
is=$A was=$B
for method in POST PATCH DELETE GET; do
	front_told "{\"lose\": [\"$method\"]}"
	good "$is"
	holds "$is"
	swap=$is is=$was was=$swap
done
holds "$B"
front_told '{"fail": {"PUT": 503}}'
good "$A"
puts 2
holds "$A"
front_told '{"garbage": true}'
bad 6 'is no list of images' "$B"
# what does not pass is not tried again, and nothing is left
for what in POST:400 POST:409 PUT:403 PUT:413; do
	method=${what%:*}
	front_told "{\"fail\": {\"$method\": ${what#*:}}, \"times\": 99}"
	bad 6 "answered with ${what#*:}" "$B"
	n=$(front_log | grep -c "^$method ") || :
	[ "$n" -eq 1 ] || fail "$what: tried $n times: $(front_log)"
done
front_told '{}'
holds "$A"
front_told '{"fail": {"PATCH": 403}, "times": 99}'
bad 6 'may not do this' "$B"
holds "$A"
# an older one that is protected stays, and that is said
read -r protected rest <there
curl -s -o patched -X PATCH -H 'Content-Type: application/openstack-images-v2.1-json-patch' \
	-d '[{"op": "replace", "path": "/protected", "value": true}]' "$GLANCE/v2/images/$protected"
front_told '{}'
bad 6 'is published as .* but older ones are still there' "$B"
holds "$B" 2
curl -s -o patched -X PATCH -H 'Content-Type: application/openstack-images-v2.1-json-patch' \
	-d '[{"op": "replace", "path": "/protected", "value": false}]' "$GLANCE/v2/images/$protected"
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
	front_told '{"slow": 8}'
	image=$1
	shift
	# shellcheck disable=SC2086  # options
	"$PVIMG" publish "./$image" --to "$URL" --unverified $TRUST "$@" >out 2>&1 &
	slow=$!
	for _ in $(seq 1 40); do
		! curl -s "$GLANCE/v2/images?status=saving" | grep -q '"status": "saving"' || break
		sleep 0.1
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
printf x | dd of="$A" bs=1 seek=16776000 conv=notrunc status=none
front_told '{}'
RC=0
wait "$slow" || RC=$?
[ "$RC" -eq 1 ] || fail "a changed image: exit status $RC: $(cat out)"
grep -q 'changed while it was sent' out || fail "a changed image: exit status $RC: $(cat out)"
printf '\0' | dd of="$A" bs=1 seek=16776000 conv=notrunc status=none
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

# --- a full store ---
truncate -s 54M filler
python3 - "$GLANCE" <<'PY'
import json, sys, urllib.request
def ask(method, path, data, kind):
    r = urllib.request.Request(sys.argv[1] + path, data=data, method=method, headers={"Content-Type": kind})
    return urllib.request.urlopen(r).read()
new = {"name": "filler", "disk_format": "raw", "container_format": "bare"}
filler = json.loads(ask("POST", "/v2/images", json.dumps(new).encode(), "application/json"))["id"]
ask("PUT", f"/v2/images/{filler}/file", open("filler", "rb").read(), "application/octet-stream")
open("filler-id", "w").write(filler)
PY
front_told '{}'
bad 6 'the image store is full' "$A"
puts 1
holds "$B" 2
curl -s -o deleted -X DELETE "$GLANCE/v2/images/$(cat filler-id)"
holds "$B"

# --- Keystone: clouds.yaml, the environment, what is wrong with either ---
# cloud NAME KEY: VALUE...: clouds.yaml with that cloud, whose Keystone is the front
cloud() {
	printf 'clouds:\n  %s:\n    region_name: one\n    auth:\n      auth_url: %s/identity\n' "$1" "$FRONT" >clouds.yaml
	shift
	for line; do printf '      %s\n' "$line" >>clouds.yaml; done
	chmod 600 clouds.yaml
}
user='username: tester' domain='user_domain_name: Lab' project='project_name: images' in='project_domain_name: Lab'
front_told '{}'
cloud lab "$user" "$domain" "$project" "$in" 'password: pass word'
URL='glance://lab?old=delete'
good "$A" --json
grep -q '"target": "glance://lab"' out || fail "the target: $(cat out)"
front_log | grep -q '^PUT /image/v2/images/.*/file 204' || fail "not where the catalog says: $(front_log)"
list >there
[ "$(wc -l <there)" -eq 2 ] || fail "what is of another project is gone: $(cat there)"
clear_all
good "$A"
good "$A"
holds "$A"
cp clouds.yaml good.yaml
chmod 640 clouds.yaml
bad 2 'chmod 600' "$B"
cloud lab "$user" "$domain" "$project" "$in"
bad 2 'password is missing' "$B"
# what is not to be seen may be in a file of its own
printf 'clouds: { lab: { auth: { password: pass word } } }\n' >secure.yaml
chmod 600 secure.yaml
good "$A"
rm secure.yaml
for wrong in 'password: sesame' 'username: nobody' 'project_name: elsewhere' 'user_domain_name: Default'; do
	front_told '{}'
	cloud lab "$user" "$domain" "$project" "$in" 'password: pass word' "$wrong"
	bad 6 'refuses the credentials' "$B"
	[ "$(front_log | wc -l)" -eq 1 ] || fail "after a refusal: $(front_log)"
done
cloud lab 'application_credential_id: app1' 'application_credential_secret: apple sauce'
good "$A"
cloud lab 'application_credential_name: uploads' "$user" "$domain" 'application_credential_secret: apple sauce'
good "$B"
holds "$B"
cloud lab "$user" "$domain" 'password: pass word'
bad 6 'name a project' "$A"
cp good.yaml clouds.yaml
# a token that ends while the data are on their way; one that is not taken at all
front_told '{"expire_at": 1500000}'
good "$A"
[ "$(front_log | grep -c 'POST /identity/v3/auth/tokens 201')" -eq 2 ] || fail "the token was not renewed once: $(front_log)"
puts 1
holds "$A"
front_told '{"expire_always": true}'
bad 6 'does not take the credentials' "$B"
[ "$(front_log | grep -c 'POST /identity/v3/auth/tokens 201')" -eq 2 ] || fail "asked again and again: $(front_log)"
front_told '{"catalog": "none"}'
bad 6 'no image service with a public interface in region one' "$B"
front_told '{"catalog": "http"}'
bad 6 'only https' "$B"
sed -i '/region_name/d' clouds.yaml
front_told '{"catalog": "region"}'
bad 2 'in 2 regions' "$B"
front_told '{}'
cp good.yaml clouds.yaml
URL=glance://elsewhere
bad 2 'no cloud of that name' "$B"
holds "$A"
# the variables: with the catalog, and for an address
(
	OS_AUTH_URL=$FRONT/identity/v3 OS_USERNAME=tester OS_PASSWORD='pass word' OS_USER_DOMAIN_NAME=Lab
	OS_PROJECT_NAME=images OS_PROJECT_DOMAIN_NAME=Lab
	export OS_AUTH_URL OS_USERNAME OS_PASSWORD OS_USER_DOMAIN_NAME OS_PROJECT_NAME OS_PROJECT_DOMAIN_NAME
	URL='glance://envvars?old=delete'
	good "$B"
	URL="glance://127.0.0.1:$FRONT_PORT/image?old=delete"
	good "$A"
)
holds "$A"
URL="glance://127.0.0.1:$FRONT_PORT/image"
bad 6 'it does not take the credentials' "$B"

# --- certificates ---
for trust in "--ca $TMP/name.crt" ''; do
	TRUST=$trust
	front_told '{}'
	URL=$OPEN
	bad 6 'certificate is not trusted' "$B"
	URL=glance://lab
	bad 6 'certificate is not trusted' "$B"
	[ -z "$(front_log)" ] || fail "somebody else was asked: $(front_log)"
done
TRUST="--ca $TMP/host.crt" URL=glance://localhost:$FRONT_PORT/open
bad 6 'certificate is not trusted' "$B"
TRUST="--pin $("$PVIMG" publish --show-fingerprint "$URL" | sed -n 's/^  SHA-256  //p')"
URL="$URL?old=delete"
good "$B"
good "$A"
clear_all
URL='glance://lab?old=delete' TRUST=
sed -i "s,^    region_name.*,    cacert: $TMP/host.crt," clouds.yaml
good "$A"
holds "$A"
clear_all
# http: to this machine alone
URL="glance://127.0.0.1:$FRONT_PLAIN/open?scheme=http"
good "$A"
holds "$A"
URL='glance://192.0.2.1/?scheme=http'
bad 6 'only https' "$A"

for secret in 'pass word' 'apple sauce' gAAAA sesame; do
	! grep -q -e "$secret" all-output out a/publish.json || fail "a secret is in the output: $secret"
done
