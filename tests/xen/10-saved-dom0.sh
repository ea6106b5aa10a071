#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same image twice: the first run saves the dom0 it booted, the second begins from it; both are green. And a state that is
# damaged is thrown away.
# time limit: 2400
set -eu
# shellcheck source=tests/xen/common.sh
. tests/xen/common.sh
xt_begin
xt_copy
for restored in no yes; do
	[ "$restored" = yes ] || rm -f "$XDG_CACHE_HOME"/pvimg/dom0/*/state-*
	xt_verify 0 --no-load
	bt_is "class" "$(xt_says 'd["class"]')" PVHVM
	bt_is "restored" "$(xt_says 'd["driver_facts"]["restored"]')" "$restored"
	bt_say "-- restored $restored: $XT_TOOK s; $(xt_says 'd["timeline"]["total"]') ms to the end of the boot"
done
for state in "$XDG_CACHE_HOME"/pvimg/dom0/*/state-*[0-9a-f]; do
	dd if=/dev/zero of="$state" bs=4096 seek=100 count=2000 conv=notrunc 2>/dev/null
done
xt_verify 0 --no-load
bt_is "a damaged state: dom0 boots" "$(xt_says 'd["driver_facts"]["restored"]')" no
xt_end
