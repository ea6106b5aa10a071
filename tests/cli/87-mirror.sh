#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish --to simplestreams:DIR: a reader of its own finds every file by index and list, with size and digest; publishing
# twice does nothing; the last ones stay; signatures are gpg's; two at once, a kill and a key that does not sign leave it whole.
# time limit: 120
set -eu
fail() {
	echo "$*"
	exit 1
}
XDG_CACHE_HOME=$TMP/cache SOURCE_DATE_EPOCH=1790000000
export XDG_CACHE_HOME SOURCE_DATE_EPOCH
cd "$TMP"
mkdir img
cat >read.py <<'PY'
# Reads a mirror from the form's rules alone. argv: folder, then index.json or index.sjson's text without its signature.
# Prints each product with its newest version, its disk and the kinds of files.
import hashlib, json, os, sys
root, index = sys.argv[1], json.load(open(sys.argv[2]))
assert index["format"] == "index:1.0" and index["updated"].endswith("+0000")
for content, entry in index["index"].items():
    assert entry["format"] == "products:1.0" and entry["datatype"] == "image-downloads"
    if entry["path"].endswith(".sjson"):
        print("signed list", entry["path"])
        continue
    products = json.load(open(os.path.join(root, entry["path"])))
    assert products["format"] == "products:1.0" and products["content_id"] == content
    assert sorted(products["products"]) == entry["products"]
    for name, product in sorted(products["products"].items()):
        assert product["arch"] == "amd64" and product["aliases"]
        for version, v in sorted(product["versions"].items()):
            for kind, item in v["items"].items():
                assert item["ftype"] == kind and not item["path"].startswith("/") and ".." not in item["path"]
                data = open(os.path.join(root, item["path"]), "rb").read()
                assert len(data) == item["size"] and hashlib.sha256(data).hexdigest() == item["sha256"], item
        print(name, version, len(product["versions"]), v["disk_sha256"][:8], ",".join(sorted(v["items"])))
PY
read_mirror() { python3 read.py "$1" "$1/streams/v1/index.json" >read.out || fail "the reader does not get through $1"; }
# disk TEXT: another image under the same name
disk() {
	rm -f img/img.raw
	truncate -s 4M img/img.raw
	printf '%s' "$1" | dd of=img/img.raw bs=1 seek=12345 conv=notrunc 2>dd.log
	sum=$(sha256sum img/img.raw | cut -c1-8)
}
publish() { "$PVIMG" publish img/img.raw --unverified --to "$@" >out 2>err || fail "publish $*: exit status $?: $(cat err)"; }
# refused CODE TEXT OPTION...
refused() {
	code=$1 text=$2 rc=0
	shift 2
	"$PVIMG" publish img/img.raw --unverified "$@" >out 2>&1 || rc=$?
	[ "$rc" -eq "$code" ] || fail "publish $*: exit status $rc, expected $code: $(cat out)"
	grep -q -e "$text" out || fail "publish $*: no word of '$text': $(cat out)"
}
state() { find "$1" -type f -exec sha256sum {} + | sort -k 2; }

# --- one image, and again ---
disk one
publish simplestreams:m
grep -q 'published' out || fail "not said to be published: $(cat out)"
read_mirror m
grep -qx "pvimg:img:amd64 20260921 1 $sum disk1.img,.*xl.cfg" read.out || fail "the reader sees: $(cat read.out)"
qemu-img compare -q -f raw -F qcow2 img/img.raw m/images/img/20260921/img.qcow2 || fail "the mirror's disk is another one"
grep -q '"target": "simplestreams:m"' img/publish.json || fail "no record: $(cat img/publish.json)"
state m >before
publish simplestreams:m
grep -q 'was there already' out || fail "published twice: $(cat out)"
state m | cmp -s - before || fail "publishing twice changed the mirror"

# --- what readers and lists need: files of the version that are gone are made again; formats; keep ---
rm m/images/img/20260921/img.qcow2
publish simplestreams:m --format qcow2,vhd,xva
! python3 read.py m m/streams/v1/index.json >read.out 2>&1 || fail "the older version has a file less, and the reader did not see it"
publish simplestreams:m --format qcow2,vhd,xva --keep 1
grep -q 'was there already' out || fail "not the same: $(cat out)"
disk two
publish simplestreams:m --format qcow2,vhd,xva --keep 2
disk three
publish simplestreams:m --keep 2
grep -q '1 older removed' out || fail "nothing was removed: $(cat out)"
read_mirror m
grep -qx "pvimg:img:amd64 20260921.03 2 $sum .*" read.out || fail "the reader sees: $(cat read.out)"
[ "$(cd m/images/img && echo *)" = '20260921.02 20260921.03' ] || fail "there is: $(ls m/images/img)"
# an image with an older epoch is the newest all the same
disk four
SOURCE_DATE_EPOCH=1600000000 publish simplestreams:m
read_mirror m
grep -qx "pvimg:img:amd64 20260921.04 3 $sum .*" read.out || fail "the reader sees: $(cat read.out)"

# --- somebody else's entry in the index, and a second image ---
python3 - <<'PY'
import json
i = json.load(open("m/streams/v1/index.json"))
i["index"]["other"] = {"format": "products:1.0", "datatype": "image-downloads", "path": "streams/v1/other.json", "products": []}
json.dump(i, open("m/streams/v1/index.json", "w"))
json.dump({"format": "products:1.0", "content_id": "other", "products": {}}, open("m/streams/v1/other.json", "w"))
PY
mkdir second
cp img/img.raw second/second.raw
"$PVIMG" publish second/second.raw --unverified --to simplestreams:m --to simplestreams:m2 >out 2>err || fail "$(cat err)"
[ "$(wc -l <out)" -eq 2 ] || fail "two targets, and: $(cat out)"
read_mirror m
[ "$(wc -l <read.out)$(grep -c '"other"' m/streams/v1/index.json)" = 21 ] || fail "the index lost something: $(cat read.out)"
read_mirror m2
[ "$(grep -c '"target"' second/publish.json)" -eq 2 ] || fail "the record has not both: $(cat second/publish.json)"

# --- leftovers of killed runs ---
mkdir m/images/img/.20260921.05.new m/images/img/20260921.05
echo half >m/images/img/20260921.05/img.qcow2
disk five
publish simplestreams:m
read_mirror m
[ ! -e m/images/img/.20260921.05.new ] || fail "a half version is still there"
grep -q "20260921.05 3 $sum" read.out || fail "the reader sees: $(cat read.out)"

# --- two at once ---
disk six
"$PVIMG" publish img/img.raw --unverified --to simplestreams:m3 >out1 2>err1 &
first=$!
"$PVIMG" publish second/second.raw --unverified --to simplestreams:m3 >out2 2>err2 || fail "$(cat err2)"
wait "$first" || fail "$(cat err1)"
read_mirror m3
[ "$(wc -l <read.out)" -eq 2 ] || fail "one of two at once is lost: $(cat read.out)"

# --- refused, and nothing changed ---
state m >before
refused 2 'a folder is wanted' --to simplestreams:
refused 2 'no such target' --to simplestream:m
refused 2 'no such format' --to simplestreams:m --format tape
cp -R m broken
echo '{' >broken/streams/v1/pvimg.images.json
refused 1 'is no JSON' --to simplestreams:broken
echo '{"format": "products:1.0", "products": {"x": {"versions": {"../..": {"items": {}}}}}}' >broken/streams/v1/pvimg.images.json
refused 1 'not as pvimg writes' --to simplestreams:broken
cp m/streams/v1/pvimg.images.json broken/streams/v1/
echo '[]' >broken/streams/v1/index.json
refused 1 'index:1.0' --to simplestreams:broken
truncate -s 3000000 'odd.raw' && mv odd.raw img/odd.raw
rc=0
"$PVIMG" publish img/odd.raw --unverified --to simplestreams:m >out 2>&1 || rc=$?
[ "$rc" -eq 1 ] || [ "$rc" -eq 2 ] || fail "an odd disk: $rc: $(cat out)"
printf '{"schema": "pvimg.verdict/1", "green": true, "driver": "xl", "memory": 1024, "vcpus": 2, "image_sha256": "%064d"}' 1 \
	>img/verdict.json
printf '{"schema": "pvimg.manifest/1", "name": "img", "archive": "distribution", "flavor": {"memory": 1024, "vcpus": 2}}' \
	>img/manifest.json
rc=0
"$PVIMG" publish img/img.raw --to simplestreams:m >out 2>&1 || rc=$?
[ "$rc$(grep -c 'that was verified' out)" = 11 ] || fail "another disk than the verified one: $rc: $(cat out)"
rm img/verdict.json img/manifest.json
rm -rf m/images/odd
state m | cmp -s - before || fail "what was refused changed the mirror"

# --- signed ---
GNUPGHOME=$TMP/gnupg
export GNUPGHOME
mkdir -m 700 gnupg
gpg --batch --quiet --passphrase '' --quick-gen-key mirror@example.org ed25519 sign never 2>gpg.log || fail "$(cat gpg.log)"
refused 4 'nobody@example.org' --to simplestreams:s --sign nobody@example.org
[ ! -e s/streams/v1/index.json ] || fail "an index without the signature that was asked for"
[ -z "$(ls s/images/img)" ] || fail "files of a version that was not published: $(ls -A s/images/img)"
publish simplestreams:s --sign mirror@example.org
gpg --export mirror@example.org >key.gpg
for f in index pvimg.images; do
	gpgv --keyring ./key.gpg --output "$f.json" "s/streams/v1/$f.sjson" 2>gpgv.log || fail "$f.sjson: $(cat gpgv.log)"
done
cmp pvimg.images.json s/streams/v1/pvimg.images.json || fail "the signed list is another one"
python3 read.py s index.json >read.out
grep -qx 'signed list streams/v1/pvimg.images.sjson' read.out || fail "the signed index leads to a list without signature"
read_mirror s
state s >before
publish simplestreams:s --sign mirror@example.org
state s | cmp -s - before || fail "publishing twice changed the signed mirror"
disk seven
refused 2 'this mirror is signed' --to simplestreams:s
state s | cmp -s - before || fail "what was refused changed the signed mirror"
gpgconf --kill gpg-agent || :

# --- killed at any time: old or new, whole, and the next run gets through ---
disk eight
publish simplestreams:k
for t in 0.01 0.02 0.04 0.06 0.09 0.13; do
	disk "killed $t"
	timeout -s KILL "$t" "$PVIMG" publish img/img.raw --unverified --to simplestreams:k >out 2>&1 || :
	read_mirror k
done
disk nine
publish simplestreams:k --keep 1
read_mirror k
grep -q " 1 $sum " read.out || fail "the reader sees: $(cat read.out)"
[ "$(find k/images/img -mindepth 1 -maxdepth 1 | wc -l)" -eq 1 ] || fail "leftovers: $(ls -A k/images/img)"
