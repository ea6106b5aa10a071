#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# doctor names what is missing with its fix and exits 4; clean removes what builds left and nothing that is in use.
set -eu

die() {
	echo "$*" >&2
	exit 1
}

cache="$TMP/a cache" out="$TMP/out's"
mkdir -p "$cache" "$out"

# doctor on this host: every line has one of the three words first, missing things give exit code 4
rc=0
"$PVIMG" doctor --cache "$cache" >"$TMP/doctor" 2>"$TMP/doctor.err" || rc=$?
case $rc in 0 | 4) ;; *) die "doctor: exit code $rc" ;; esac
for name in kernel newuidmap debootstrap gpgv apt-get mke2fs mkfs.vfat mcopy 'subordinate ids' sandbox memory 'cache space' kvm xen; do
	grep -Eq "^(ok|note|missing) +$name " "$TMP/doctor" || die "doctor: no line for $name"
done
if grep -q '^missing' "$TMP/doctor"; then
	[ $rc -eq 4 ] || die "doctor: something is missing, exit code $rc"
else
	[ $rc -eq 0 ] || die "doctor: nothing is missing, exit code $rc"
fi

"$PVIMG" doctor --cache "$cache" --out "$out" >"$TMP/doctor" 2>/dev/null || :
grep -Fq " free in $out" "$TMP/doctor" || die "doctor --out: another folder was looked at"

# without programs: the fix is named
rc=0
PATH=/nonexistent "$PVIMG" doctor --cache "$cache" >"$TMP/doctor" 2>"$TMP/doctor.err" || rc=$?
[ $rc -eq 4 ] || die "doctor without PATH: exit code $rc"
grep -Eq '^missing +gpgv .*fix: apt-get install gpgv$' "$TMP/doctor" || die "doctor: gpgv's fix is not named"
grep -q 'lacks' "$TMP/doctor.err" || die "doctor: no closing line"
rc=0
PATH=/nonexistent "$PVIMG" doctor --cache "$cache" --json >"$TMP/json" 2>/dev/null || rc=$?
[ $rc -eq 4 ] || die "doctor --json without PATH: exit code $rc"
grep -q '"ok": false' "$TMP/json" || die "doctor --json: ok is not false"

# clean: what nobody holds goes, finished images and the store stay
mkdir -p "$out/.gone.new" "$out/.held.new" "$out/.failed/old" "$out/done" "$cache/store/sha256" "$cache/work/x.1-abcdef" \
	"$cache/dom0/free" "$cache/dom0/used"
: >"$out/.gone.lock"
: >"$out/.held.lock"
: >"$out/done/done.raw"
exec 9>"$out/.held.lock"
flock 9
rc=0
"$PVIMG" clean --cache "$cache" --out "$out" >"$TMP/clean" 2>"$TMP/clean.err" || rc=$?
if [ $rc -eq 4 ]; then
	cat "$TMP/clean.err"
	echo "skipped: no builder namespace on this host"
	exit 77
fi
[ $rc -eq 0 ] || die "clean: exit code $rc: $(cat "$TMP/clean.err")"
[ ! -e "$out/.gone.new" ] || die "clean: an unfinished result stays"
[ ! -e "$out/.failed" ] || die "clean: failed builds stay"
[ ! -e "$cache/work/x.1-abcdef" ] || die "clean: a work folder stays"
[ -d "$out/.held.new" ] || die "clean: took what a build holds"
[ -e "$out/done/done.raw" ] || die "clean: took a finished image"
[ -d "$cache/store/sha256" ] || die "clean: took the store unasked"
[ -d "$cache/dom0/free" ] || die "clean: took verify's dom0 unasked"
grep -q '1 work folder, 1 unfinished result, 1 failed build$' "$TMP/clean" || die "clean said: $(cat "$TMP/clean")"

# the store: not while a build runs
rc=0
"$PVIMG" clean --all --cache "$cache" --out "$out" >/dev/null 2>"$TMP/clean.err" || rc=$?
[ $rc -eq 1 ] || die "clean --all beside a build: exit code $rc"
[ -d "$cache/store/sha256" ] || die "clean --all: took the store of a running build"
exec 9>&-
# and a dom0 not while guests run under it
exec 9<"$cache/dom0/used"
flock --shared 9
"$PVIMG" clean --all --cache "$cache" --out "$out" >"$TMP/clean"
[ ! -e "$cache/store" ] || die "clean --all: the store stays"
[ ! -e "$cache/dom0/free" ] || die "clean --all: a dom0 stays"
[ -d "$cache/dom0/used" ] || die "clean --all: took a dom0 in use"
grep -q ', the package store, the dom0 of pvimg verify$' "$TMP/clean" || die "clean --all said: $(cat "$TMP/clean")"
exec 9<&-
"$PVIMG" clean --all --cache "$cache" --out "$out" --json >"$TMP/clean"
[ ! -e "$cache/dom0" ] || die "clean --all: a dom0 stays after its use"
grep -q '"dom0": true' "$TMP/clean" || die "clean --all --json said: $(cat "$TMP/clean")"
[ -e "$out/done/done.raw" ] || die "clean --all: took a finished image"

# A folder that holds other programs' files: only locks of our own form are touched.
mkdir "$TMP/mixed" "$TMP/mixed/.new"
: >"$TMP/mixed/.lock"
: >"$TMP/mixed/.Odd Name.lock"
"$PVIMG" clean --cache "$cache" --out "$TMP/mixed" >/dev/null
for left in .lock .new ".Odd Name.lock"; do
	[ -e "$TMP/mixed/$left" ] || die "clean: took what is not ours: $left"
done
