#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The look-alikes: the same good image as HVM without the platform device, as PVH and as PV; and one that prints the lines of
# PVHVM while it is none. Each has its own class, none is green.
# time limit: 2400
set -eu
# shellcheck source=tests/xen/common.sh
. tests/xen/common.sh
xt_begin
xt_copy
xt_verify 5 --as pvh --no-load
xt_red PVH ''
xt_verify 5 --as pv --no-load
xt_red PV ''

bt_say "== HVM without PV drivers, and one that lies about it"
xt_copy
xt_verify 5 --as hvm --no-load
xt_red "HVM without PV drivers" ''
bt_is "its emulated card works" "$(xt_says "[c['state'] for c in d['checks'] if c['name'] == 'HTTP from outside']")" "['green']"

cat >"$TMP/liar" <<'END'
#!/bin/sh
for line in 'Hypervisor detected: Xen HVM' 'xen:events: Xen HVM callback vector for event delivery is enabled' \
	'Xen: using vcpuop timer interface' \
	'Netfront and the Xen platform PCI driver have been compiled for this kernel: unplug emulated NICs.' \
	'Blkfront and the Xen platform PCI driver have been compiled for this kernel: unplug emulated disks.' \
	'blkfront: xvda: flush diskcache: enabled; persistent grants: enabled; indirect descriptors: enabled;'; do
	echo "<5>$line" >/dev/kmsg
	echo "$line" >/dev/hvc0
done
END
xt_put "$TMP/liar" /usr/local/bin/liar 755
xt_unit liar.service '[Service]
Type=oneshot
ExecStart=/usr/local/bin/liar
[Install]
WantedBy=multi-user.target'
xt_verify 5 --as hvm --no-load
xt_red "HVM without PV drivers" ''
xt_end
