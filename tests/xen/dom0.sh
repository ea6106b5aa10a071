# SPDX-License-Identifier: Apache-2.0
# A dom0 as people have one: a whole Debian with Xen's packages, made by pvimg, run by Xen inside QEMU. Shared by the tests that
# need one; they have read common.sh and called xt_begin.
# shellcheck shell=sh

# xd_build PACKAGE...: builds it with these packages, too, as $XT_DIR/dom0/dom0.raw.
xd_build() {
	bt_say "== a dom0 is built"
	mkdir -p "$XT_DIR/recipes" "$XT_DIR/work"
	cp -R recipes/base "$XT_DIR/recipes/"
	cp -R overlays "$XT_DIR/"
	cat >"$XT_DIR/recipes/dom0.yaml" <<-END
		base: debian
		flavor: { memory: 2GiB, vcpus: 1, disk: 6GiB }
		packages:
		$(for p in linux-image-amd64 xen-utils-4.17 xenstore-utils qemu-system-xen ipxe-qemu iproute2 "$@"; do
			echo "  - $p"
		done)
	END
	"$PVIMG" build dom0 --recipes "$XT_DIR/recipes" --no-verify --out "$XT_DIR" >"$TMP/build" 2>&1 || {
		tail -5 "$TMP/build"
		bt_skip "no Debian with Xen's packages can be built here"
	}
	xd_disk=$XT_DIR/dom0/dom0.raw
}

# How the script of xd_start begins: each line that it "says" is read by xd_wait and xd_said.
xd_script() {
	cat <<'END'
#!/bin/sh
# In dom0.
mount LABEL=WORK /mnt || exit 1
say() { echo ":: $*" >/dev/hvc0; }
exec >/mnt/log 2>&1
cd /mnt
export PATH="$PATH:/usr/sbin:/sbin" HOME=/root
systemctl start xen || service xen start
say "xen $(xl info | sed -n 's/^xen_version *: //p')"
END
	cat
	cat <<'END'
say end
sync
poweroff -f
END
}

# xd_start SCRIPT SIZE OPTION...: boots it with the folder $XT_DIR/work as a disk of SIZE at /mnt, where SCRIPT runs as root;
# OPTIONs are for QEMU. Sets XD_QEMU, its process.
xd_start() {
	truncate -s "$2" "$XT_DIR/work.img"
	mke2fs -q -t ext4 -L WORK -d "$XT_DIR/work" "$XT_DIR/work.img" || bt_fail "mke2fs -d"
	xd_at="$xd_disk?offset=$(bt_root_offset "$xd_disk")"
	# shellcheck disable=SC2034  # for xt_put
	XT_FS=$xd_at
	xt_put "$1" /usr/local/sbin/xl-test 755
	# Xen and dom0's kernel as their packages have them; Xen's ELF is what QEMU loads.
	xd_kernel=$(debugfs -R 'ls -p /boot' "$xd_at" 2>/dev/null |
		awk -F/ '$6 ~ /^vmlinuz-.*[0-9]-amd64$/ { print $6 }' | sed 's/^vmlinuz-//')
	[ -n "$xd_kernel" ] || bt_fail "no kernel for dom0 in it"
	debugfs -R "dump /boot/vmlinuz-$xd_kernel $XT_DIR/vmlinuz" "$xd_at" 2>/dev/null
	debugfs -R "dump /boot/initrd.img-$xd_kernel $XT_DIR/initrd" "$xd_at" 2>/dev/null
	xd_xen=$(find "$XDG_CACHE_HOME/pvimg/dom0" -name xen.elf | head -1)
	[ -n "$xd_xen" ] || bt_fail "no Xen in the cache: run a verification first"
	qemu-img create -q -f qcow2 -F raw -b "$xd_disk" "$XT_DIR/dom0.qcow2"
	shift 2
	bt_say "== dom0 with Debian's kernel $xd_kernel"
	: >"$TMP/serial"
	qemu-system-x86_64 -M pc,usb=off -accel tcg,thread=multi,tb-size=1024 -cpu qemu64,+svm,+npt -smp 2 -m 5G -nodefaults \
		-no-user-config -display none -no-reboot -kernel "$xd_xen" \
		-append "console=com1 com1=115200,8n1 dom0_mem=1536M,max:1536M dom0_max_vcpus=1 noreboot=1 bootscrub=0 guest_loglvl=info" \
		-initrd "$XT_DIR/vmlinuz root=/dev/vda1 ro console=hvc0 systemd.run=/usr/local/sbin/xl-test,$XT_DIR/initrd" \
		-serial "file:$TMP/serial" \
		-drive "if=none,id=a,format=qcow2,file=$XT_DIR/dom0.qcow2,cache=unsafe" -device virtio-blk-pci,drive=a \
		-drive "if=none,id=b,format=raw,file=$XT_DIR/work.img,cache=unsafe" -device virtio-blk-pci,drive=b \
		"$@" >"$TMP/qemu" 2>&1 &
	# shellcheck disable=SC2034  # for the test
	XD_QEMU=$!
}

# xd_wait LINE SECONDS: until dom0 says it.
xd_wait() {
	xd_waited=0
	until tr -d '\r' <"$TMP/serial" 2>/dev/null | grep -q "^.*:: $1\$"; do
		kill -0 "$XD_QEMU" 2>/dev/null || break
		xd_waited=$((xd_waited + 3))
		[ "$xd_waited" -lt "$2" ] || break
		sleep 3
	done
	tr -d '\r' <"$TMP/serial" | sed -n 's/^.*:: //p' >"$TMP/said"
	grep -qx "$1" "$TMP/said" || {
		cat "$TMP/said"
		tail -30 "$TMP/serial"
		bt_fail "dom0 does not say '$1' within $2 s"
	}
}

# xd_said WORDS: what follows them on their line.
xd_said() { sed -n "s/^$1 //p" "$TMP/said"; }
