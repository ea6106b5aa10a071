#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Images that boot as PVHVM and are wrong: a service that is down, a sysctl of another value, a guest out of memory.
# time limit: 2400
set -eu
# shellcheck source=tests/xen/common.sh
. tests/xen/common.sh
xt_begin

bt_say "== a service that is down"
xt_copy
xt_debugfs 'symlink /etc/systemd/system/apache2.service /dev/null'
xt_verify 5 --no-load
xt_red PVHVM '' 'HTTP from outside'

bt_say "== a wrong sysctl"
xt_copy
echo 'net.core.somaxconn = 17' >"$TMP/wrong.conf"
xt_put "$TMP/wrong.conf" /etc/sysctl.d/99-wrong.conf
xt_verify 5 --no-load
xt_red PVHVM '' 'sysctl net.core.somaxconn'

bt_say "== out of memory"
xt_copy
xt_unit hog.service '[Service]
ExecStart=/usr/bin/perl -e "push @x, chr(97) x 1048576 while 1"
Restart=no
[Install]
WantedBy=multi-user.target'
xt_verify 5 --no-load
xt_red PVHVM '' 'OOM kills'
xt_end
