#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The look-alikes: the same good image as HVM without the platform device, as PVH and as PV; and one that prints the lines of
# PVHVM while it is none. Each has its own class, none is green. Without PV drivers a guest needs one for the emulated SCSI
# adapter, which Debian's kernel for clouds has not: there it is Debian's other kernel.
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
"$PVIMG" build debian-2g --set packages=apache2,memcached,linux-image-amd64 --no-verify --out "$TMP/full" \
	>"$TMP/build" 2>&1 || bt_skip "no debian-2g can be built here: $(tail -1 "$TMP/build")"
XT_IMAGE=$TMP/full/debian-2g/debian-2g.raw
xt_copy
xt_grub_cfg 's,-cloud-amd64,-amd64,g'
xt_verify 5 --as hvm --no-load
xt_red "HVM without PV drivers" ''

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
