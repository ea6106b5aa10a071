#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Images that do not boot: each ends with "did not boot" and the words of firmware, GRUB or kernel that prove it.
# time limit: 3600
set -eu
# shellcheck source=tests/xen/common.sh
. tests/xen/common.sh
xt_begin

bt_say "== no bootable disk"
xt_copy
dd if=/dev/zero of="$XT_BROKEN" bs=1 seek=0 count=440 conv=notrunc 2>/dev/null
dd if=/dev/zero of="$XT_BROKEN" bs=1 seek=510 count=2 conv=notrunc 2>/dev/null
xt_verify 5 --deadline 120
xt_red "did not boot" '[Nn]o bootable device|not a bootable disk'

bt_say "== GRUB rescue"
xt_copy
xt_debugfs 'rm /boot/grub/i386-pc/normal.mod'
xt_verify 5 --deadline 180
xt_red "did not boot" 'grub rescue|normal.mod'

bt_say "== kernel panic"
xt_copy
xt_kernel_args 's,$, rdinit=/nowhere root=/dev/nothing,'
xt_verify 5
xt_red "did not boot" 'Kernel panic'

bt_say "== no root found"
xt_copy
xt_kernel_args 's,root=[^ ]*,root=UUID=00000000-0000-4000-8000-000000000000,'
xt_verify 5
xt_red "did not boot" 'does not exist|Gave up waiting for root'

bt_say "== a guest that hangs"
xt_copy
xt_kernel_args 's,$, init=/usr/bin/sleep -- infinity,'
xt_verify 5 --deadline 90
xt_red "did not boot" '^hung: '

bt_say "== a guest that reboots in a loop"
xt_copy
xt_kernel_args 's,$, rdinit=/nowhere root=/dev/nothing panic=1,'
xt_verify 5
xt_red "did not boot" 'reboot|Kernel panic'
xt_end
