#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What pvimg verify and compare refuse before anything is started: each with one line, the right exit code, and no record written.
set -eu
path=
cmd=verify
dir=$TMP/images
mkdir -p "$dir"
bad=0

# refuses CODE REGEX WORDS...
refuses() {
	code=$1 want=$2
	shift 2
	rc=0
	XDG_CACHE_HOME=$TMP/cache timeout 60 env PATH="${path:-$PATH}" "$PVIMG" "$cmd" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || rc=$?
	if [ "$rc" -ne "$code" ] || ! grep -qE -- "$want" "$TMP/err" || [ "$(grep -c '^pvimg: ' "$TMP/err")" -ne 1 ]; then
		echo "BAD  $cmd $*: exit $rc, wanted $code and '$want':"
		cat "$TMP/out" "$TMP/err"
		bad=$((bad + 1))
	fi
	left=$(find "$dir" "$TMP/cache/pvimg/work" -name '*.json' -o -name '*console.log' -o -name '*verify*' 2>/dev/null || :)
	[ -z "$left" ] || { echo "BAD  $cmd $* left $left"; bad=$((bad + 1)); }
}

good=$dir/good.raw
truncate -s 64M "$good"
printf 'label: gpt\nstart=2048, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\n' | /sbin/sfdisk -q "$good"

refuses 2 'IMAGE is missing'
refuses 2 '--as bus' "$good" --as bus
refuses 2 '--firmware efi' "$good" --firmware efi
refuses 2 '--ovmf is for --firmware uefi' "$good" --ovmf /x
refuses 2 '--memory 1000000' "$good" --memory 1000000
refuses 2 '--vcpus 0' "$good" --vcpus 0
refuses 2 '--deadline 0' "$good" --deadline 0
refuses 2 'no such driver|--driver' "$good" --driver qemu
refuses 2 'vmdk' "$good" --format vmdk
refuses 1 'No such file' "$dir/nothing.raw"
refuses 1 'directory|folder' "$dir"
: >"$dir/empty.raw"
refuses 1 'empty' "$dir/empty.raw"
head -c 1048576 /dev/urandom >"$dir/random.raw"
refuses 1 'no disk image|partition table' "$dir/random.raw"
cp "$good" "$dir/short.raw"
truncate -s 32M "$dir/short.raw"
refuses 1 'cut off' "$dir/short.raw"
qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw "$dir/backed.qcow2" 64M
refuses 1 'backing file' "$dir/backed.qcow2"
qemu-img create -q -f qcow2 -o data_file="$dir/data.raw" "$dir/data.qcow2" 64M
refuses 1 'data in another file' "$dir/data.qcow2"
cp "$good" "$dir/like.raw"
printf 'QFI\373' | dd of="$dir/like.raw" conv=notrunc 2>/dev/null
refuses 1 'qcow2' "$dir/like.raw"
# without the programs it needs
mkdir "$TMP/bin"
ln -s "$(command -v qemu-img)" "$TMP/bin/qemu-img"
path=$TMP/bin
refuses 4 'qemu-system-x86_64' "$good" --driver xen-in-qemu
path=
refuses 4 'xl|dom0' "$good" --driver xl
refuses 4 'kvm|QEMU' "$good" --driver kvm-xen
refuses 4 'OvmfXen|OVMF' "$good" --firmware uefi
cmd=compare
refuses 2 'IMAGE is missing'
refuses 2 '--as: no such option of compare' "$good" --as pv
refuses 2 '--memory 1000000' "$good" --memory 1000000
refuses 1 'compare: .*No such file' "$dir/nothing.raw"
refuses 1 'cut off' "$dir/short.raw"
refuses 1 'backing file' "$dir/backed.qcow2"
refuses 1 'cannot write the verdict' "$good" --out "$dir/nowhere"
path=$TMP/bin
refuses 4 'qemu-system-x86_64' "$good" --driver xen-in-qemu
path=
[ "$bad" -eq 0 ]
