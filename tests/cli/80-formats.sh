#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg export, import, inspect: awkward disks through every format and back, bit for bit, judged by qemu-img and by a reader of XVAs
# written from the format's rules; the same bytes every time; nothing left of a run that failed.
# time limit: 600
set -eu
# shellcheck source=tests/cli/plain.sh
. tests/cli/plain.sh
formats=raw,qcow2,vhd,vhd-tar-gz,xva,raw-zst
HERE=$PWD
cd "$TMP"

# --- disks ---
mkdir disks
python3 - disks <<'PY'
import os, random, sys
M = 1 << 20
r = random.Random(5)
def disk(name, size, pieces):
    with open(f"{sys.argv[1]}/{name}.raw", "wb") as f:
        f.truncate(size)
        for at, data in pieces:
            f.seek(at)
            f.write(data)
noise = r.randbytes(3 * M)
text = (b"all work and no play " * 60000)[:M]
disk("zero", 8 * M, [])
disk("one-mib", M, [(0, noise[:M])])
disk("one-block", 2 * M, [(4096, b"x" * 512)])
disk("part-block", 5 * M, [(0, text), (4 * M, noise[:700]), (5 * M - 512, b"end" * 100)])
disk("at-end", 33 * M, [(33 * M - 1, b"!")])
disk("dense", 9 * M, [(0, noise), (3 * M, text), (4 * M, noise), (7 * M + 123, noise[: M + 77])])
disk("written-zeros", 6 * M, [(0, b"\0" * 6 * M), (3 * M - 4096, b"a" * 8192)])
disk("over-l2", 1025 * M, [(0, noise), (511 * M, noise), (1024 * M + 5, noise[:9999])])
disk("large", 2040 * 1024 * M, [(0, noise[:5000]), (1000 * 1024 * M + 17, noise), (2040 * 1024 * M - 4096, text[:4096])])
PY

cat >xva.py <<'PY'
# Reads an XVA as an importer does; prints nothing, and ends with an assertion where a rule is broken. argv: xva raw
import hashlib, os, re, sys, tarfile
import xml.etree.ElementTree as E
M = 1 << 20
def value(v):
    k = list(v)
    if not k: return v.text or ""
    k = k[0]
    if k.tag == "struct": return {m.find("name").text: value(m.find("value")) for m in k}
    if k.tag == "array": return [value(x) for x in k.find("data")]
    if k.tag == "boolean": return {"0": False, "1": True}[k.text]
    return k.text
t = tarfile.open(sys.argv[1], "r|")
raw = open(sys.argv[2], "rb")
size = os.fstat(raw.fileno()).st_size
m = t.next()
assert m.name == "ova.xml", m.name
ova = value(E.fromstring(t.extractfile(m).read()))
assert ova["version"]["export_vsn"] == "2" and (ova["version"]["xapi_major"], ova["version"]["xapi_minor"]) == ("1", "20")
o = {x["id"]: x for x in ova["objects"]}
assert len(o) == len(ova["objects"])
by = {}
for x in ova["objects"]: by.setdefault(x["class"], []).append(x)
assert sorted(by) == ["SR", "VBD", "VDI", "VIF", "VM", "network"], by
vm, vdi, vbd, vif = (by[c][0] for c in ("VM", "VDI", "VBD", "VIF"))
assert int(vdi["snapshot"]["virtual_size"]) == size
assert vdi["snapshot"]["SR"] in o and vbd["snapshot"]["VDI"] == vdi["id"] and vbd["snapshot"]["VM"] == vm["id"]
assert vif["snapshot"]["VM"] == vm["id"] and vif["snapshot"]["network"] in o
assert vm["snapshot"]["VBDs"] == [vbd["id"]] and vdi["snapshot"]["VBDs"] == [vbd["id"]]
assert vbd["snapshot"]["userdevice"] == "0" and vbd["snapshot"]["bootable"] is True and not vbd["snapshot"]["currently_attached"]
assert vm["snapshot"]["HVM_boot_policy"] == "BIOS order" and vm["snapshot"]["platform"]["viridian"] == "false"
assert int(vm["snapshot"]["memory_static_max"]) == int(os.environ.get("MEMORY", 2 << 30))
uuids = [x["snapshot"]["uuid"] for x in ova["objects"]]
assert len(set(uuids)) == len(uuids) and all(re.fullmatch(r"[0-9a-f-]{36}", u) for u in uuids)
last, seen, want = "", set(), None
while m := t.next():
    assert m.isfile() and m.mode == 0o644 and m.mtime == 0 and m.uid == m.gid == 0, m.name
    data = t.extractfile(m).read()
    if want is not None:
        assert m.name == want[0] + ".checksum", m.name
        assert data.decode() == want[1], m.name
        want = None
        continue
    prefix, digits = m.name.split("/")
    assert prefix == vdi["id"] and re.fullmatch(r"\d{8}", digits) and digits > last and len(data) == M, m.name
    last = digits
    n = int(digits)
    raw.seek(n * M)
    assert raw.read(M) == data, f"chunk {n} differs"
    assert data.strip(b"\0") or n in (0, size // M - 1), f"chunk {n} of zeros"
    seen.add(n)
    want = (m.name, hashlib.sha1(data).hexdigest())
assert want is None and 0 in seen and size // M - 1 in seen
if size <= 2048 * M:
    for n in set(range(size // M)) - seen:
        raw.seek(n * M)
        assert not raw.read(M).strip(b"\0"), f"chunk {n} is missing"
PY

check_back() { # check_back RAW FILE
	rm -rf back
	"$PVIMG" import "$2" --out back >/dev/null || fail "import $2"
	python3 - "$1" back/*.raw <<'PY' || fail "$2 gives another disk back"
import os, sys
# holes of both are zeros: only what is data in one of them is compared
def data(f, size):
    at = 0
    while at < size:
        try: at = os.lseek(f, at, os.SEEK_DATA)
        except OSError: return
        end = os.lseek(f, at, os.SEEK_HOLE)
        yield at, end
        at = end
a, b = (os.open(p, os.O_RDONLY) for p in sys.argv[1:])
size = os.fstat(a).st_size
assert size == os.fstat(b).st_size, "sizes"
for f in (a, b):
    for at, end in data(f, size):
        while at < end:
            n = min(1 << 20, end - at)
            assert os.pread(a, n, at) == os.pread(b, n, at), at
            at += n
PY
}

for disk in disks/*.raw; do
	name=${disk##*/}
	name=${name%.raw}
	rm -rf out
	"$PVIMG" export "$disk" --format "$formats" --out out >made || fail "export $name"
	[ "$(wc -l <made)" -eq 12 ] || fail "$name: $(cat made)"
	qemu-img check -q "out/$name.qcow2" || fail "$name: qemu-img check"
	if [ "$name" != large ]; then
		qemu-img compare -q -f raw -F qcow2 "$disk" "out/$name.qcow2" || fail "$name: qcow2 differs for qemu-img"
		qemu-img compare -q -f raw -F vpc "$disk" "out/$name.vhd" || fail "$name: vhd differs for qemu-img"
		zstd -dc --no-check "out/$name.raw.zst" | cmp -s - "$disk" || fail "$name: zstd unpacks something else"
	fi
	python3 xva.py "out/$name.xva" "$disk" || fail "$name: the XVA"
	mkdir -p tar
	tar -zxf "out/$name.vhd.tar.gz" -C tar
	[ "$(ls tar)" = 0.vhd ] || fail "$name: in the tar: $(ls tar)"
	cmp "tar/0.vhd" "out/$name.vhd" || fail "$name: 0.vhd is not NAME.vhd"
	rm -rf tar
	for f in qcow2 vhd vhd.tar.gz xva raw.zst raw; do
		"$PVIMG" inspect "out/$name.$f" >said || fail "$name.$f: $(cat said)"
		if [ "$f" != raw ] && [ "$name" != large ]; then check_back "$disk" "out/$name.$f"; fi
	done
	check_back "$disk" "out/$name.vhd"
	check_back "$disk" "out/$name.xva"
done

# --- the same bytes, with one thread, in another order, elsewhere, from a pipe's end ---
rm -rf out one two
"$PVIMG" export disks/dense.raw --format "$formats,qcow2" --out one 2>err && fail "a format twice is taken"
"$PVIMG" export disks/dense.raw --format "$formats" --out one >/dev/null
taskset -c 0 "$PVIMG" export "$PWD/disks/dense.raw" --format raw-zst,vhd-tar-gz,xva,raw,vhd,qcow2 --out two >/dev/null
diff -r one two || fail "not the same bytes"
"$PVIMG" export disks/dense.raw --format xva --out - | cmp - one/dense.xva || fail "the stream is another XVA"
"$PVIMG" export disks/dense.raw --format raw-zst --out - | cmp - one/dense.raw.zst || fail "the stream is another raw.zst"
rc=0
"$PVIMG" export disks/dense.raw --format vhd --out - >/dev/null 2>err || rc=$?
[ "$rc" -eq 2 ] || fail "a VHD does not stream: exit code $rc"

# --- zlib and xxhash ---
"$PVIMG" export disks/dense.raw --format qcow2-zlib,xva-xxhash --out xx --memory 1GiB --vcpus 1 >/dev/null
qemu-img info xx/dense.qcow2 | grep -q 'compression type: zlib' || fail "no zlib"
qemu-img check -q xx/dense.qcow2 || fail "qemu-img check: qcow2 with zlib"
qemu-img compare -q -f raw -F qcow2 disks/dense.raw xx/dense.qcow2 || fail "qcow2 with zlib"
"$PVIMG" inspect xx/dense.xva | grep -q 'checksums: xxhash' || fail "no xxhash"
tar -xOf xx/dense.xva Ref:005/00000008.xxhash | grep -Eqx '[0-9A-F]{16}' || fail "XXH64 is no 16 digits"
"$PVIMG" export disks/zero.raw --format xva-xxhash --out xx >/dev/null
# XXH64 of 1 MiB of zeros, from xen-api's own tests of the format
[ "$(tar -xOf xx/zero.xva Ref:005/00000007.xxhash)" = 87D2A1B6E1163EF1 ] || fail "XXH64 of zeros"
[ "$(tar -xOf one/dense.xva Ref:005/00000008.checksum | wc -c)" -eq 40 ] || fail "SHA-1 has a newline"
check_back disks/dense.raw xx/dense.xva
gzip -c one/dense.xva >packed.xva
check_back disks/dense.raw packed.xva

# --- sizes ---
refused() { # refused CODE WORDS FOLDER: rc and err of a run that made nothing
	[ "$rc" -eq "$1" ] || fail "exit code $rc, not $1: $(cat err)"
	grep -q -- "$2" err || fail "no word of $2: $(cat err)"
	[ -z "$(ls -A "$3")" ] || fail "something was left: $(ls -A "$3")"
}
cp disks/one-mib.raw odd.raw
printf 'tail' >>odd.raw
rc=0
"$PVIMG" export odd.raw --format vhd --out odd >/dev/null 2>err || rc=$?
refused 1 '--pad' odd
"$PVIMG" export odd.raw --pad --format vhd,xva,raw-zst,qcow2 --out odd >/dev/null
for f in vhd xva raw.zst qcow2; do check_back odd.raw "odd/odd.$f"; done
# that size of another disk cuts nothing off
mkdir stale back2
"$PVIMG" export disks/part-block.raw --format vhd --out stale >/dev/null
echo 5242500 >stale/part-block.original-size
rc=0
"$PVIMG" import stale/part-block.vhd --out back2 >/dev/null 2>err || rc=$?
refused 1 'original-size: .*data' back2
truncate -s 2041G toolarge.raw
rc=0
"$PVIMG" export toolarge.raw --format raw-zst,vhd --out large >/dev/null 2>err || rc=$?
refused 2 '2040 GiB' large

# --- what is no raw disk, and what is there ---
rc=0
"$PVIMG" export one/dense.vhd --format xva --out three >/dev/null 2>err || rc=$?
refused 1 'pvimg import' three
cp one/dense.vhd there.vhd
echo mine >there.raw
rc=0
"$PVIMG" import there.vhd >/dev/null 2>err || rc=$?
[ "$rc" -eq 1 ] || fail "import over a file: exit code $rc"
[ "$(cat there.raw)" = mine ] || fail "import replaced a file"

# --- a failed run leaves nothing; what was there stays ---
mkdir kept
echo old >kept/noise.xva
# much to compress and to write, so that the signal comes in between
head -c 200M /dev/urandom >noise.raw
"$PVIMG" export noise.raw --format "$formats" --out kept >/dev/null 2>err &
pid=$!
sleep 0.15
kill -INT "$pid" 2>/dev/null || :
rc=0
wait "$pid" || rc=$?
[ "$rc" -eq 130 ] || fail "interrupted: exit code $rc: $(cat err)"
[ "$(ls -A kept)" = noise.xva ] || fail "interrupted: $(ls -A kept)"
[ "$(cat kept/noise.xva)" = old ] || fail "interrupted: what was there is gone"
rm noise.raw
# shellcheck disable=SC2016  # expanded inside
if unshare -rm true 2>/dev/null; then
	mkdir small
	unshare -rm sh -c 'mount -t tmpfs -o size=4m tmpfs small && rc=0 &&
		{ "$PVIMG" export disks/dense.raw --format vhd,xva --out small >/dev/null 2>err || rc=$?; } &&
		[ "$rc" -eq 1 ] && [ -z "$(ls -A small)" ]' || fail "a full disk: $(cat err)"
	grep -q 'No space left' err || fail "a full disk: $(cat err)"
fi

# --- faults are found, and import refuses them ---
damage() { # damage FILE OFFSET BYTES FAULT
	cp "$1" damaged
	printf '%b' "$3" | dd of=damaged bs=1 seek="$2" conv=notrunc status=none
	rc=0
	"$PVIMG" inspect damaged >said 2>err || rc=$?
	case $rc in 1 | 7) ;; *) fail "$1 damaged at $2: exit code $rc: $(cat said err)" ;; esac
	cat said err | grep -q "$4" || fail "$1 damaged at $2: $(cat said err)"
	rm -rf back
	! "$PVIMG" import damaged --out back >/dev/null 2>&1 || fail "$1 damaged at $2: imported"
	[ -z "$(ls -A back 2>/dev/null)" ] || fail "$1 damaged at $2: something was left"
}
size=$(stat -c %s one/dense.vhd)
damage one/dense.vhd 100 x "footer's copy"
damage one/dense.vhd $((size - 400)) x 'footer at'
damage one/dense.vhd 700 x 'header at .* wrong checksum'
damage one/dense.vhd 1536 '\0000\0000\0000\0000' 'lies in the tables'
damage one/dense.vhd 1536 '\0000\0377\0000\0000' "beyond the file's end"
damage one/dense.vhd 1540 '\0000\0000\0000\0017' 'overlap'
damage one/dense.vhd 2570 x batmap
at=$(grep -abo 'Ref:005/00000003' one/dense.xva | head -n 1 | cut -d: -f1)
damage one/dense.xva $((at + 512 + 1000)) '\0001' 'checksum is wrong'
damage one/dense.raw.zst 20000 xyz zstd
# without its last chunk, without its first, in the wrong order
python3 - one/dense.xva <<'PY'
import sys, tarfile
members = [(m, t.extractfile(m).read()) for t in [tarfile.open(sys.argv[1])] for m in t]
def write(name, ms):
    import io
    with tarfile.open(name, "w", format=tarfile.USTAR_FORMAT) as t:
        for m, d in ms: t.addfile(m, io.BytesIO(d))
write("nolast.xva", members[:-2])
write("nofirst.xva", members[:1] + members[3:])
write("order.xva", members[:1] + members[3:5] + members[1:3] + members[5:])
write("nosum.xva", members[:2] + members[3:])
PY
for case in 'nolast:last chunk is missing' 'nofirst:first chunk is missing' 'order:order is wrong' 'nosum:has no checksum'; do
	rc=0
	"$PVIMG" inspect "${case%%:*}.xva" >said 2>/dev/null || rc=$?
	[ "$rc" -eq 7 ] || fail "$case: exit code $rc"
	grep -q "FAULT.*${case#*:}" said || fail "$case: $(cat said)"
done
head -c 100000 one/dense.vhd >cut.vhd
! "$PVIMG" import cut.vhd --out back >/dev/null 2>&1 || fail "a VHD that was cut off is imported"

# --- somebody else's ---
qemu-img convert -f raw -O vpc -o subformat=dynamic,force_size=on disks/dense.raw q1.vhd
qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on disks/dense.raw q2.vhd
qemu-img convert -f raw -O qcow2 disks/dense.raw q3.qcow2
for f in q1.vhd q2.vhd q3.qcow2; do
	"$PVIMG" inspect "$f" >said || fail "$f: $(cat said)"
	check_back disks/dense.raw "$f"
done

# --- JSON, against its schema ---
"$PVIMG" inspect one/dense.vhd --json >inspect.json
rc=0
"$HERE/tests/schema/validate" "$TMP/inspect.json" >said 2>&1 || rc=$?
[ "$rc" -eq 0 ] || [ "$rc" -eq 77 ] || fail "inspect --json: $(cat said)"
