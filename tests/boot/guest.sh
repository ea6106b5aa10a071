# SPDX-License-Identifier: Apache-2.0
# Shared by tests/boot: guests in plain QEMU, and what must be true inside them.
# shellcheck shell=sh
# shellcheck source=tests/boot/common.sh
. tests/boot/common.sh

# --- guests ---

# bt_seed FILE HOSTNAME PUBLIC_KEY: a NoCloud disk (vfat, label CIDATA) that lets `tester` in.
bt_seed() {
	mkdir -p "$TMP/seed"
	printf 'instance-id: i-pvimg-%s\nlocal-hostname: %s\n' "$$" "$2" >"$TMP/seed/meta-data"
	cat >"$TMP/seed/user-data" <<-EOF
	#cloud-config
	users:
	  - name: tester
	    shell: /bin/bash
	    sudo: ALL=(ALL) NOPASSWD:ALL
	    lock_passwd: true
	    ssh_authorized_keys: ["$3"]
	EOF
	rm -f "$1"
	truncate -s 1440K "$1"
	mformat -i "$1" -f 1440 -v CIDATA ::
	mcopy -i "$1" "$TMP/seed/meta-data" "$TMP/seed/user-data" ::
}

# bt_boot FIRMWARE BUS IMAGE: starts a guest of IMAGE (never written: a qcow2 overlay, 1 GiB larger) with 2 vcpus and
# 2 GiB, firmware bios or uefi, bus ide or virtio (of disks; kernels for clouds know no emulated network card). A raw file
# BT_EXTRA_DISK is one more disk. Sets BT_QEMU, BT_SSH_PORT, BT_HTTP_PORT, BT_CONSOLE.
bt_boot() {
	BT_CONSOLE=$TMP/console-$1-$2.log
	[ -s "$TMP/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$TMP/key"
	bt_seed "$TMP/seed.img" "pv-$1" "$(cat "$TMP/key.pub")"
	rm -f "$TMP/overlay.qcow2"
	bt_size=$(($(stat -c %s "$3") + 1073741824))
	qemu-img create -q -f qcow2 -F raw -b "$(realpath "$3")" "$TMP/overlay.qcow2" "$bt_size"
	bt_if=$2
	set -- "$1"
	if [ "$1" = uefi ]; then
		bt_code=""; bt_vars=""
		for bt_v in _4M ''; do
			[ -f "/usr/share/OVMF/OVMF_CODE$bt_v.fd" ] || continue
			bt_code=/usr/share/OVMF/OVMF_CODE$bt_v.fd bt_vars=/usr/share/OVMF/OVMF_VARS$bt_v.fd
			break
		done
		[ -n "$bt_code" ] || bt_skip "no OVMF firmware in /usr/share/OVMF"
		cp "$bt_vars" "$TMP/vars.fd"
		set -- -drive "if=pflash,format=raw,unit=0,readonly=on,file=$bt_code" \
			-drive "if=pflash,format=raw,unit=1,file=$TMP/vars.fd"
	else
		set --
	fi
	for bt_try in 1 2 3 4 5; do
		BT_SSH_PORT=$(shuf -n 1 -i 20000-39999)
		BT_HTTP_PORT=$((BT_SSH_PORT + 20000))
		BT_MEMCACHED_PORT=$((BT_SSH_PORT - 10000))
		: >"$BT_CONSOLE"
		qemu-system-x86_64 -accel tcg,thread=multi -M pc -cpu max -smp 2 -m 2048 -nodefaults -no-user-config \
			-display none -vga std -serial "file:$BT_CONSOLE" -no-reboot "$@" \
			-drive "file=$TMP/overlay.qcow2,format=qcow2,if=$bt_if,index=0,cache=unsafe" \
			-drive "file=$TMP/seed.img,format=raw,if=$bt_if,index=1,readonly=off" \
			-netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$BT_SSH_PORT-:22,hostfwd=tcp:127.0.0.1:$BT_HTTP_PORT-:80,hostfwd=tcp:127.0.0.1:$BT_MEMCACHED_PORT-:11211" \
			${BT_EXTRA_DISK:+-drive "file=$BT_EXTRA_DISK,format=raw,if=$bt_if,index=2,readonly=off"} \
			-device virtio-net-pci,netdev=n0 -device virtio-rng-pci >"$TMP/qemu.log" 2>&1 &
		BT_QEMU=$!
		BT_STARTED=$(date +%s)
		sleep 1
		kill -0 "$BT_QEMU" 2>/dev/null && return
		wait "$BT_QEMU" || :
	done
	cat "$TMP/qemu.log"
	bt_fail "QEMU does not start (tried $bt_try times)"
}

bt_ssh() {
	ssh -i "$TMP/key" -p "$BT_SSH_PORT" -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes tester@127.0.0.1 "$@"
}

# Waits until ssh lets us in, at most $1 seconds from the guest's start.
bt_wait_ssh() {
	until timeout 20 bash -c ": </dev/tcp/127.0.0.1/$BT_SSH_PORT" 2>/dev/null && bt_ssh true 2>"$TMP/ssh.log"; do
		kill -0 "$BT_QEMU" 2>/dev/null || { bt_keep_console; bt_fail "QEMU ended: $(tail -1 "$TMP/qemu.log")"; }
		! grep -aq 'Kernel panic' "$BT_CONSOLE" || { bt_keep_console; bt_fail "the guest's kernel panics"; }
		if [ $(($(date +%s) - BT_STARTED)) -gt "$1" ]; then
			bt_keep_console
			bt_fail "no ssh login within $1 s: $(tail -1 "$TMP/ssh.log")"
		fi
		sleep 2
	done
}

# The console log outlives the scratch folder when a check fails.
bt_keep_console() {
	mkdir -p out/test-logs
	cp "$BT_CONSOLE" "out/test-logs/${0##*/}-${BT_CONSOLE##*/}"
	bt_say "--- end of the console, all of it in out/test-logs/${0##*/}-${BT_CONSOLE##*/} ---"
	tr -d '\033\r' <"$BT_CONSOLE" | tail -25
}

bt_halt() {
	[ -n "${BT_QEMU-}" ] || return 0
	kill "$BT_QEMU" 2>/dev/null || :
	wait "$BT_QEMU" 2>/dev/null || :
	BT_QEMU=
}

# bt_guest_facts FILE: tests/boot/inside.sh run in the guest as root; lines of name=value.
bt_guest_facts() {
	bt_ssh 'sudo bash -s' <tests/boot/inside.sh >"$1" 2>"$1.err" || {
		cat "$1" "$1.err"
		bt_keep_console
		bt_fail "the checks inside the guest did not run to their end"
	}
}

bt_fact() { sed -n "s/^$2=//p" "$1" | head -1; }

# bt_verify FIRMWARE BUS IMAGE LIMIT: boots and checks everything a user relies on; leaves the verdict in BT_BAD.
bt_verify() {
	bt_boot "$1" "$2" "$3"
	bt_wait_ssh "$4"
	bt_f=$TMP/facts-$1
	bt_t=$(($(date +%s) - BT_STARTED))
	bt_guest_facts "$bt_f"
	bt_say "-- $1, $2: ssh answered after $bt_t s; $(bt_fact "$bt_f" analyze)"
	bt_is "the console shows a login" "$(tr -d '\r' <"$BT_CONSOLE" | grep -c 'pv-'"$1"' login:' | sed 's/^[1-9].*/yes/')" yes
	bt_is "cloud-init is done" "$(bt_fact "$bt_f" cloudinit)" "status: done"
	bt_is "no failed unit" "$(bt_fact "$bt_f" failed)" ""
	bt_is "the hostname comes from the datasource" "$(bt_fact "$bt_f" hostname)" "pv-$1"
	bt_is "the network card is eth0" "$(bt_fact "$bt_f" route_dev)" eth0
	bt_is "the root file system has grown" "$(bt_fact "$bt_f" grown)" yes
	bt_is "root is mounted by UUID" "$(bt_fact "$bt_f" fstab_root)" UUID
	bt_is "booted by" "$(bt_fact "$bt_f" firmware)" "$1"
	bt_is "memcached: set and get" "$(bt_fact "$bt_f" memcached)" "STORED hello"
	bt_is "memcached listens on 127.0.0.1 only" "$(bt_fact "$bt_f" memcached_listen)" "127.0.0.1:11211/tcp"
	bt_is "memcached cannot be reached from outside" \
		"$(printf 'version\r\n' | timeout 5 bash -c "exec 3<>/dev/tcp/127.0.0.1/$BT_MEMCACHED_PORT && cat >&3 && head -1 <&3" \
			2>/dev/null)" ""
	bt_code=$(curl -s -m 20 -o "$TMP/health" -D "$TMP/headers" -w '%{http_code}' \
		"http://127.0.0.1:$BT_HTTP_PORT${BT_HEALTH:-/healthz}") || :
	bt_is "Apache's health page from outside" "$bt_code" 200
	bt_is "Apache sends no version" "$(tr -d '\r' <"$TMP/headers" | sed -n 's/^Server: //ip')" Apache
	bt_is "Apache runs mpm_event" "$(bt_fact "$bt_f" mpm)" event
	bt_is "ssh takes no passwords" "$(bt_fact "$bt_f" ssh_password)" no
	bt_is "the root account is locked" "$(bt_fact "$bt_f" root_lock)" L
	bt_is "host keys were made at first boot" "$(bt_fact "$bt_f" hostkeys)" fresh
	bt_is "the clock's server runs" "$(bt_fact "$bt_f" chrony)" active
	bt_is "apt's sources name a mirror of the distribution's own" "$(bt_fact "$bt_f" sources_local)" none
	bt_is "and suites of this release" "$(bt_fact "$bt_f" sources_suites)" good
	bt_is "dpkg finds nothing half done" "$(bt_fact "$bt_f" audit)" ""
	[ "$BT_BAD" -eq 0 ] || { cat "$bt_f"; bt_keep_console; }
	bt_halt
}
