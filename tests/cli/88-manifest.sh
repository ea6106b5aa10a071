#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg manifest and check-signature: signed with throw-away keys, green; then red for each changed byte, for what is missing, extra or
# another image's, for a wrong key or identity, and for a hostile SHA256SUMS.
# time limit: 300
set -eu
fail() {
	echo "$*"
	exit 1
}
for tool in gpg gpgv ssh-keygen python3; do
	command -v "$tool" >/dev/null || {
		echo "skipped: no $tool here"
		exit 77
	}
done
HERE=$PWD
# gpg's agent wants a short path for its socket
GNUPGHOME=$(mktemp -d)
XDG_CACHE_HOME=$TMP/cache
export GNUPGHOME XDG_CACHE_HOME
end() {
	gpgconf --kill gpg-agent >/dev/null 2>&1 || :
	rm -rf "$GNUPGHOME"
}
trap end EXIT
trap 'exit 1' INT TERM
unset SOURCE_DATE_EPOCH
cd "$TMP"

# run CODE COMMAND...: its exit code; what it says is in `said`
run() {
	want=$1 rc=0
	shift
	"$PVIMG" "$@" >said 2>&1 || rc=$?
	[ "$rc" -eq "$want" ] || fail "$*: exit code $rc, not $want: $(cat said)"
	[ "$want" -eq 0 ] || [ "$(grep -c '^pvimg: ' said)" -eq 1 ] || fail "$*: not one line: $(cat said)"
}
says() { grep -q -- "$1" said || fail "no word of '$1': $(cat said)"; }

# --- a folder as a build and a verification leave it ---
cat >make.py <<'PY'
import hashlib, json, os, sys
d, fill = sys.argv[1], sys.argv[2].encode()
os.mkdir(d)
raw = fill * (1 << 20) + bytes(1 << 20) + b"end"
open(f"{d}/mini.raw", "wb").write(raw)
def chunks(b):
    return hashlib.sha256(b"".join(hashlib.sha256(b[i:i + (1 << 20)]).digest() for i in range(0, len(b), 1 << 20))).hexdigest()
def write(name, x): open(f"{d}/{name}", "w").write(json.dumps(x, indent=1) + "\n")
def package(name, version, arch, **more):
    return {"name": name, "version": version, "architecture": arch, "sha256": hashlib.sha256(name.encode()).hexdigest(),
            "size": 1, "installed_size": 1024, **more}
write("manifest.json", {"schema": "pvimg.manifest/1", "name": "mini", "distribution": "debian", "suite": "bookworm",
    "architecture": "amd64", "archive": "distribution", "epoch": 1700000000, "disk_size": len(raw),
    "flavor": {"memory": 1 << 30, "vcpus": 1}, "settings": {"reserve_mib": 64, "sysctl": {}, "memcached": {}, "apache": {}},
    "packages": [package("base-files", "12.4+deb12u5", "all", licenses=["GPL-2+"]),
        package("libstdc++6", "1:12.2.0-14~x", "amd64", source="gcc-12", source_version="12.2.0-14", licenses=["GPL-3+ with exception", "Artistic \"x\""])]})
write("report.json", {"schema": "pvimg.report/1", "recipe": [{"file": "mini.yaml", "sha256": "ab" * 32},
    {"file": "base/mini.yaml", "sha256": "cd" * 32}, {"file": "x", "sha256": "no"}, 7], "artifacts": [{"file": "mini.raw", "chunks_sha256": chunks(raw), "size": len(raw)}]})
write("verdict.json", {"schema": "pvimg.verdict/1", "green": True, "class": "PVHVM", "driver": "xen-in-qemu",
    "driver_facts": {"xen": "4.17.5"}, "image_sha256": hashlib.sha256(raw).hexdigest(), "memory": 1 << 30, "vcpus": 1,
    "checks": [{"name": "boot", "state": "green", "expected": "up", "seen": "up"}]})
open(f"{d}/console.log", "w").write("hello\n")
PY
python3 make.py img A
python3 make.py other B

# --- throw-away keys ---
for who in alice mallory; do
	gpg --batch --quiet --passphrase '' --quick-generate-key "$who@example.invalid" ed25519 sign never 2>gpg.err || fail "gpg: $(cat gpg.err)"
	gpg --batch --export "$who@example.invalid" >"$who.gpg"
	ssh-keygen -q -t ed25519 -N '' -C "$who" -f "$who.key"
	echo "$who $(cut -d' ' -f1,2 "$who.key.pub")" >"$who.signers"
done
cat alice.signers mallory.signers >both.signers

# --- what is refused before anything is written ---
run 2 manifest img --sign alice
run 2 manifest img --sign gpg:
run 1 manifest nowhere
cp -r img bent
cp other/verdict.json bent/verdict.json
run 7 manifest bent
says "verdict.json: is of another image"
cp img/verdict.json bent/verdict.json
cp other/report.json bent/report.json
run 7 manifest bent
says "report.json beside it is of another image"
[ ! -e bent/SHA256SUMS ] || fail "SHA256SUMS of a refused folder"
cp img/report.json bent/report.json
ln -s /etc/passwd bent/link
run 1 manifest bent
says "no regular file"
rm bent/link

# --- green, by either kind of key ---
run 0 manifest img --sign gpg:alice@example.invalid
says "with its verdict, signed"
run 0 check-signature img --keyring alice.gpg
says "8 files"
(cd img && sha256sum -c --quiet --strict SHA256SUMS) || fail "sha256sum does not agree"
gpg --batch --quiet --armor --export alice@example.invalid >alice.asc
run 0 check-signature img --keyring alice.asc
cp -r img ssh
run 0 manifest ssh --sign ssh:alice.key
[ ! -e ssh/SHA256SUMS.gpg ] || fail "the old signature stays"
run 0 check-signature ssh --allowed-signers alice.signers --identity alice
run 0 check-signature "$PWD/ssh" --allowed-signers both.signers --identity alice
cmp img/SHA256SUMS ssh/SHA256SUMS || fail "two runs differ"
# json CODE EXPRESSION WORD...: what it prints is one document of its schema, of which the expression holds
json() {
	code=$1 expression=$2 rc=0
	shift 2
	"$PVIMG" "$@" --json >said.json 2>err || rc=$?
	[ "$rc" -eq "$code" ] || fail "$* --json: exit status $rc: $(cat err)"
	"$HERE/tests/schema/validate" said.json >validated || fail "$* --json: $(cat validated said.json)"
	python3 -c "import json; d = json.load(open('said.json')); assert $expression, d" || fail "$* --json: $(cat said.json)"
}
json 0 'd["verified"] and d["signed"]' manifest ssh --sign ssh:alice.key
json 0 'd["good"] and d["files"] == 8 and d["signer"] == "alice"' check-signature ssh --allowed-signers alice.signers --identity alice
run 0 manifest bent
for f in sbom.spdx.json sbom.cdx.json provenance.json; do cmp "img/$f" "bent/$f" || fail "two runs differ: $f"; done

# --- whose key ---
run 2 check-signature img
run 2 check-signature img --allowed-signers alice.signers
run 2 check-signature img --keyring alice.gpg --identity alice
run 6 check-signature img --keyring mallory.gpg
run 6 check-signature ssh --allowed-signers both.signers --identity mallory
run 6 check-signature ssh --allowed-signers mallory.signers --identity alice
run 6 check-signature ssh --keyring alice.gpg
run 6 check-signature img --allowed-signers alice.signers --identity alice
ssh-keygen -q -Y sign -f alice.key -n file <ssh/SHA256SUMS >elsewhere.sig 2>/dev/null
cp -r ssh wrong
cp elsewhere.sig wrong/SHA256SUMS.sig
run 6 check-signature wrong --allowed-signers alice.signers --identity alice
cp -r img inside
cp alice.gpg inside/keys.gpg
run 2 check-signature inside --keyring inside/keys.gpg
says "proves nothing"
ln -s "$PWD/inside/keys.gpg" outside.gpg
run 2 check-signature inside --keyring outside.gpg

# --- the documents ---
python3 - img <<'PY' || fail "the documents"
import hashlib, json, sys
d = sys.argv[1]
def load(n): return json.load(open(f"{d}/{n}"))
raw = hashlib.sha256(open(f"{d}/mini.raw", "rb").read()).hexdigest()
purl = ["pkg:deb/debian/base-files@12.4%2Bdeb12u5?arch=all&distro=bookworm",
        "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14~x?arch=amd64&distro=bookworm"]
s, c, p = load("sbom.spdx.json"), load("sbom.cdx.json"), load("provenance.json")
assert s["spdxVersion"] == "SPDX-2.3" and s["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
ids = [x["SPDXID"] for x in s["packages"]]
assert len(set(ids)) == 3 and {r["relatedSpdxElement"] for r in s["relationships"]} == set(ids)
assert [x["externalRefs"][0]["referenceLocator"] for x in s["packages"][1:]] == purl
assert s["packages"][2]["sourceInfo"] == "built from source package gcc-12 12.2.0-14"
assert s["packages"][0]["checksums"][0]["checksumValue"] == raw
assert [x["licenseDeclared"] for x in s["packages"]] == ["NOASSERTION", "GPL-2.0-or-later", "NOASSERTION"]
assert c["specVersion"] == "1.5" and [x["purl"] for x in c["components"]] == purl == c["dependencies"][0]["dependsOn"]
assert c["metadata"]["component"]["hashes"][0]["content"] == raw
assert c["components"][0]["licenses"] == [{"license": {"id": "GPL-2.0-or-later"}}]
assert c["components"][1]["licenses"] == [{"license": {"name": "GPL-3+ with exception"}}, {"license": {"name": "Artistic \"x\""}}]
assert p["subject"] == [{"name": "mini.raw", "digest": {"sha256": raw}}]
b = {x["name"]: x for x in p["predicate"]["runDetails"]["byproducts"]}
a = b["verdict.json"]["annotations"]
assert a["driver"] == "xen-in-qemu" and a["driver_facts"]["xen"] == "4.17.5" and a["checks"][0]["name"] == "boot"
assert b["verdict.json"]["digest"]["sha256"] == hashlib.sha256(open(f"{d}/verdict.json", "rb").read()).hexdigest()
deps = p["predicate"]["buildDefinition"]["resolvedDependencies"]
assert deps[:2] == [{"name": "mini.yaml", "digest": {"sha256": "ab" * 32}}, {"name": "base/mini.yaml", "digest": {"sha256": "cd" * 32}}]
assert [x["uri"] for x in deps[2:]] == purl
PY
rc=0
"$HERE/tests/schema/boms" img >said 2>&1 || rc=$?
[ "$rc" -eq 0 ] || [ "$rc" -eq 77 ] || fail "the official schemas: $(cat said)"

# --- each changed byte ---
cat >flip.py <<'PY'
import sys
f = open(sys.argv[1], "r+b")
f.seek(int(sys.argv[2]))
b = f.read(1)
f.seek(int(sys.argv[2]))
f.write(bytes([b[0] ^ 1]))
PY
flips() { # flips DIR FILES OPTION...
	where=$1 files=$2
	shift 2
	for f in "$where"/$files; do
		size=$(stat -c %s "$f")
		for at in 0 $((size / 3)) $((size - 1)); do
			case $f in *SHA256SUMS.sig) # armor: a blank or a line's end in it says nothing
				[ "$at" -ne $((size - 1)) ] || continue ;;
			esac
			python3 flip.py "$f" "$at"
			case $f in
			*SHA256SUMS*) run 6 check-signature "$where" "$@" ;;
			*)
				run 7 check-signature "$where" "$@"
				says "^changed ${f##*/}\$"
				;;
			esac
			python3 flip.py "$f" "$at"
		done
	done
	run 0 check-signature "$where" "$@"
}
flips img 'SHA256SUMS*' --keyring alice.gpg
flips ssh '*' --allowed-signers alice.signers --identity alice

# --- missing, extra, links, a signed lie ---
for f in ssh/*; do
	mv "$f" aside
	code=7
	case $f in *SHA256SUMS*) code=6 ;; esac
	run $code check-signature ssh --allowed-signers alice.signers --identity alice
	[ $code -eq 6 ] || says "^missing ${f##*/}\$"
	mv aside "$f"
done
for f in extra .hidden 'with
newline'; do
	: >"ssh/$f"
	run 7 check-signature ssh --allowed-signers alice.signers --identity alice
	says '^extra '
	rm "ssh/$f"
done
mkdir ssh/folder
run 7 check-signature ssh --allowed-signers alice.signers --identity alice
rmdir ssh/folder
echo '{}' >ssh/publish.json # comes after signing
run 0 check-signature ssh --allowed-signers alice.signers --identity alice
rm ssh/publish.json
mv ssh/console.log console.log
ln -s ../console.log ssh/console.log
run 7 check-signature ssh --allowed-signers alice.signers --identity alice
says '^no regular file console.log'
json 7 'not d["good"] and d["findings"] == ["no regular file console.log"]' check-signature ssh --allowed-signers alice.signers \
	--identity alice
rm ssh/console.log
mkfifo ssh/console.log
run 7 check-signature ssh --allowed-signers alice.signers --identity alice
rm ssh/console.log
mv console.log ssh/console.log

sign() { ssh-keygen -q -Y sign -f alice.key -n pvimg <"$1/SHA256SUMS" >"$1/SHA256SUMS.sig" 2>sign.err || fail "ssh-keygen: $(cat sign.err)"; }
cp -r other swapped
run 0 manifest swapped
for f in verdict.json sbom.spdx.json sbom.cdx.json provenance.json; do
	rm -rf lie
	cp -r ssh lie
	cp "swapped/$f" lie/
	(cd lie && for x in *; do case $x in SHA256SUMS*) ;; *) sha256sum "$x" ;; esac; done >SHA256SUMS)
	sign lie
	run 7 check-signature lie --allowed-signers alice.signers --identity alice
	says "^another image's $f\$"
done
# somebody signed a folder without a manifest, or with nonsense for one
for what in 'not covered' unreadable; do
	rm -rf lie
	cp -r ssh lie
	if [ "$what" = unreadable ]; then echo '{' >lie/manifest.json; else rm lie/manifest.json; fi
	(cd lie && for x in *; do case $x in SHA256SUMS*) ;; *) sha256sum "$x" ;; esac; done >SHA256SUMS)
	sign lie
	run 7 check-signature lie --allowed-signers alice.signers --identity alice
	says "^$what manifest.json\$"
done
rm -rf lie
cp -r ssh lie

# --- a hostile SHA256SUMS, well signed ---
sum=$(sha256sum <ssh/console.log | cut -d' ' -f1)
hostile() { # hostile TEXT
	printf '%b' "$1" >lie/SHA256SUMS
	sign lie
	run 6 check-signature lie --allowed-signers alice.signers --identity alice
	says 'SHA256SUMS:[0-9]*: '
}
hostile "$sum  ../console.log\n"
hostile "$sum  /etc/passwd\n"
hostile "$sum  a/b\n"
hostile "$sum  .hidden\n"
hostile "$sum  console.log\n$sum  console.log\n"
hostile "$sum  manifest.json\n$sum  console.log\n"
hostile "$sum  console.log\r\n"
hostile "$sum *console.log\n"
hostile "$sum  console.log"
hostile "$sum  SHA256SUMS\n"
hostile "\\\\\\\\$sum  console.log\n"
hostile "\n"
hostile ""
hostile "$(printf '%0100000d' 0)\n"
