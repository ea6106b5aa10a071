#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/dom0/agent on a host, with an xl that only pretends: its lines, what becomes of the domain and its bridge, and that
# nothing is left or touched that is somebody else's. Under every sh there is.
set -eu
fail() {
	echo "$*"
	[ ! -e "$TMP/out" ] || tail -n 20 "$TMP/out" | tr -d '\000'
	[ ! -e "$TMP/calls" ] || tail -n 20 "$TMP/calls"
	exit 1
}

mkdir "$TMP/bin" "$TMP/net"
cat >"$TMP/bin/xl" <<'X'
#!/bin/sh
# $FAKE: alive (a domain that was created), reason (the guest's end: a number, made by the test), refuse
echo "xl $*" >>"$FAKE/calls"
case $1 in
info) printf 'release                : 6.1.0\nxen_version            : 4.17.5\nvirt_caps              : pv hvm hap shadow\n' ;;
domid) [ -e "$FAKE/foreign" ] && echo 7 ;;
create)
	echo "Parsing config from $3"
	if [ -e "$FAKE/refuse" ]; then
		echo 'libxl: error: no memory' >&2
		echo 'libxl: error: and so on' >&2
		exit 3
	fi
	sleep "$(cat "$FAKE/slow" 2>/dev/null || echo 0)"
	: >"$FAKE/alive"
	echo 'Waiting for domain t (domid 5) to die [pid 4711]'
	while [ -e "$FAKE/alive" ] && [ ! -e "$FAKE/reason" ]; do sleep 0.1; done
	if [ -e "$FAKE/alive" ]; then
		echo "Domain 5 has shut down, reason code $(cat "$FAKE/reason") 0x0"
		echo 'Action for shutdown reason code 0 is preserve'
	else
		echo 'Domain 5 has been destroyed.'
	fi
	;;
destroy) rm "$FAKE/alive" ;;
console)
	printf 'one\r\nconsole two\n\n= 1 0\nlogin: '
	exec cat
	;;
qemu-monitor-command)
	if [ "$3" = 'info blockstats' ]; then
		printf 'ide0-hd0: rd_bytes=1024 wr_bytes=512 rd_operations=2 wr_operations=1 flush_operations=0\r\n'
		exit 0
	fi
	i=0
	while [ $i -lt 250 ]; do
		printf '%016x: 0x07690748 0x07200721 0x07200720 0x07010720\n' $((753664 + 16 * i))
		i=$((i + 1))
	done
	;;
esac
X
cat >"$TMP/bin/ip" <<'X'
#!/bin/sh
echo "ip $*" >>"$FAKE/calls"
X
cat >"$TMP/bin/date" <<'X'
#!/bin/sh
echo "date $*" >>"$FAKE/calls"
X
chmod 755 "$TMP/bin/"*
export FAKE="$TMP/fake" PATH="$TMP/bin:$PATH"

# begin SHELL: an agent with a fresh world; its stdin is file descriptor 4
begin() {
	rm -rf "$FAKE" "$TMP/job" "$TMP/wire"
	mkdir "$FAKE" "$TMP/job"
	ln -sf "$FAKE/calls" "$TMP/calls"
	printf 'name="t"\ntype="hvm"\n' >"$TMP/job/guest.cfg"
	printf 'BRIDGE=pvtest7\nADDRESS=127.0.0.1\nGUEST=127.0.0.1\n' >"$TMP/job/env"
	mkfifo "$TMP/wire"
	# shellcheck disable=SC2086 # "busybox sh" is two words
	$1 scripts/dom0/agent "$TMP/job" host <"$TMP/wire" >"$TMP/out" 2>"$TMP/err" &
	agent=$!
	exec 4>"$TMP/wire"
	wait_for 'hello 1 xen=4.17.5 kernel=6.1.0 hap=yes'
}

tell() {
	echo "$*" >&4
}

wait_for() {
	i=0
	until grep -Fqx -e "$1" "$TMP/out"; do
		i=$((i + 1))
		[ "$i" -lt 100 ] || fail "no line: $1"
		sleep 0.1
	done
}

# over WHY: the agent is gone, and so is all that it made
over() {
	exec 4>&-
	wait "$agent" || :
	[ ! -e "$FAKE/alive" ] || fail "$1: the domain is left"
	[ ! -e "$TMP/job/.agent" ] || fail "$1: .agent is left"
	grep -q '^ip link add name pvtest7 type bridge$' "$FAKE/calls" || fail "$1: no bridge was made"
	grep -q '^ip link delete pvtest7$' "$FAKE/calls" || fail "$1: the bridge is left"
	! grep -q '^xl destroy' "$FAKE/calls" || grep -q '^xl destroy 5$' "$FAKE/calls" || fail "$1: destroyed another domain"
	! grep -q '^date' "$FAKE/calls" || fail "$1: the host's clock was set"
}

conversation() {
	begin "$1"
	tell 1 clock 12345
	tell 2 create
	tell 3 nonsense
	echo 'not a command' >&4
	wait_for 'event created 5'
	wait_for '= 1 0'
	wait_for '= 2 0'
	wait_for '> 3 no such command'
	wait_for 'console one'
	wait_for 'console console two'
	wait_for 'console = 1 0'
	wait_for 'console login: '
	tell 4 create
	wait_for '> 4 the guest is there already'
	wait_for '= 4 1'
	tell 5 vga
	wait_for '= 5 0'
	[ "$(grep -c '^> 5 ' "$TMP/out")" -eq 25 ] || fail "vga: not 25 lines"
	grep -q '^> 5 Hi!     Hi!' "$TMP/out" || fail "vga: $(grep '^> 5 ' "$TMP/out")"
	tell 6 tcp 9
	wait_for '> 6 refused'
	tell 7 http 9 /
	wait_for '> 7 refused'
	wait_for '= 7 1'
	tell 8 ssh ../key
	wait_for '> 8 no such script'
	tell 9 hold 3 1
	wait_for '> 9 held=0 answered=0 refused=3 failed=0'
	tell 10 stats
	wait_for '> 10 dm-ide0-hd0.rd_operations=2'
	wait_for '> 10 dm-ide0-hd0.wr_bytes=512'
	wait_for '= 10 0'
	! grep -q '^> 10 .*flush' "$TMP/out" || fail "stats: more than was asked for"
	tell 11 pull 9 /
	wait_for '> 11 refused'
	wait_for '= 11 1'
	# Xen's tracing is its owner's
	tell 12 exits 1
	wait_for '> 12 not traced in a dom0 of somebody else'
	wait_for '= 12 1'
	tell 13 end
	wait_for '= 13 0'
	over conversation
}

# ends REASON WORD: the guest ends by itself and is there to be looked at; another create is another guest
ends() {
	begin "$1"
	tell 1 create
	wait_for 'event created 5'
	echo "$2" >"$FAKE/reason"
	wait_for "event ended $3"
	[ -e "$FAKE/alive" ] || fail "a guest that ended was destroyed"
	tell 2 vga
	wait_for '= 2 0'
	rm "$FAKE/reason"
	tell 3 create
	wait_for '= 3 0'
	[ "$(grep -c '^event created 5' "$TMP/out")" -eq 2 ] || fail "not created again"
	over "$3"
}

failures() {
	begin "$1"
	: >"$FAKE/refuse"
	tell 1 create
	wait_for 'event failed libxl: error: no memory'
	wait_for '= 1 1'
	tell 2 facts
	wait_for '> 2 no guest'
	wait_for '= 2 1'
	tell 4 stats
	wait_for '> 4 no guest'
	wait_for '= 4 1'
	rm "$FAKE/refuse"
	: >"$FAKE/foreign"
	tell 3 create
	wait_for 'event failed a domain t is there already'
	wait_for '= 3 1'
	over failures
	! grep -q '^xl destroy' "$FAKE/calls" || fail "destroyed a domain that was not ours"
}

# SIGTERM while the domain is being made
stopped() {
	begin "$1"
	echo 2 >"$FAKE/slow"
	tell 1 create
	sleep 0.5
	kill -TERM "$agent"
	over stopped
	grep -q '^xl destroy 5$' "$FAKE/calls" || fail "stopped: not destroyed"
}

shells=0
for shell in dash bash "busybox sh" sh; do
	[ -n "$(command -v "${shell% *}")" ] || continue
	shells=$((shells + 1))
	conversation "$shell"
	ends "$shell" 0 poweroff
	ends "$shell" 1 reboot
	ends "$shell" 3 crash
	failures "$shell"
	stopped "$shell"
done
[ "$shells" -gt 0 ] || fail "no shell"

# vif-bridge as libxl calls it (libxl_linux.c, libxl__hotplug_nic): which of the two ends is a word, not in the environment.
cat >"$TMP/bin/xenstore-write" <<'X'
#!/bin/sh
echo "xenstore-write $*" >>"$FAKE/calls"
X
chmod 755 "$TMP/bin/xenstore-write"
hotplug() {
	: >"$FAKE/calls"
	vif=vif5.0 INTERFACE=vif5.0-emu XENBUS_PATH=backend/vif/5/0 sh scripts/dom0/vif-bridge "$@"
}
hotplug online type_if=vif
grep -qx 'ip link set vif5.0 up master xenbr0' "$FAKE/calls" || fail "vif-bridge: the PV end is not on the bridge"
grep -qx 'xenstore-write backend/vif/5/0/hotplug-status connected' "$FAKE/calls" || fail "vif-bridge: libxl is not told"
hotplug add type_if=tap
grep -qx 'ip link set vif5.0-emu up master xenbr0' "$FAKE/calls" || fail "vif-bridge: the tap is not on the bridge"
[ "$(wc -l <"$FAKE/calls")" -eq 1 ] || fail "vif-bridge: more than that for a tap"
