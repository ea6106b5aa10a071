#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No variable lives longer than its function, but the signal flag in proc.c. Const tables are fine.
set -u
. tests/meta/lib.sh

set -- out/obj/*.o
[ -f "$1" ] || { echo "no objects in out/obj: run make first"; exit 1; }
for object; do
	# .data.rel.ro holds const tables of pointers
	objdump -t "$object" | awk -v file="${object##*/}" '
		NF >= 4 && $(NF-2) ~ /^(\.data|\.bss|\.tdata|\.tbss|COM|\*COM\*)/ && $(NF-2) !~ /^\.data\.rel\.ro/ && $0 ~ / [lgu!]*[ ]*O / {
			print file, $NF
		}'
done | grep -vx 'proc.o noted_signal' >"$TMP/hits"
while IFS= read -r line; do
	fault "mutable: $line"
done <"$TMP/hits"
# the check can see: the one it allows is there
objdump -t out/obj/proc.o | grep -q noted_signal || fault "noted_signal is not in proc.o: this check has gone blind"
verdict
