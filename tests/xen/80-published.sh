#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish --to xl+ssh://, with --start, to a dom0 as people have one: a whole Debian with Xen's packages and its sshd, run by
# Xen inside QEMU. The image arrives, xl makes a domain of the configuration that came with it, and Apache in it answers.
# time limit: 3600
set -eu
# shellcheck source=tests/xen/common.sh
. tests/xen/common.sh
# shellcheck source=tests/xen/dom0.sh
. tests/xen/dom0.sh
bt_need mke2fs ssh ssh-keygen
xt_begin
xt_copy		# publish.json comes beside it
image=$XT_BROKEN
trap 'kill "${XD_QEMU-}" 2>/dev/null || :; rm -rf "$XT_DIR"' EXIT

xd_build openssh-server

# on its second disk: keys, a folder for images, and what the guest's card and Apache are asked with
mkdir -p "$XT_DIR/work/images" "$XT_DIR/bin"
ssh-keygen -q -t ed25519 -N '' -f "$XT_DIR/key"
ssh-keygen -q -t ed25519 -N '' -f "$XT_DIR/work/hostkey"
cp "$XT_DIR/key.pub" "$XT_DIR/work/authorized"
cp scripts/dom0/net "$XT_DIR/work/"
xd_script >"$TMP/run" <<'END'
for dev in /sys/class/net/*; do
	dev=${dev##*/}
	case $dev in lo|vif*|xenbr*) continue ;; esac
	ip addr add 10.0.2.15/24 dev "$dev"
	ip link set "$dev" up
done
ip link add xenbr0 type bridge && ip addr add 10.77.0.1/24 dev xenbr0 && ip link set xenbr0 up
# A clock that Xen emulates, inside an emulated processor, makes a guest crawl until it dies.
cat >/usr/local/sbin/xl <<'XL'
#!/bin/sh
[ "$1" != create ] || exec /usr/sbin/xl "$@" 'tsc_mode="native"'
exec /usr/sbin/xl "$@"
XL
chmod 755 /usr/local/sbin/xl
mkdir -p /run/sshd
chown root:root /mnt /mnt/authorized /mnt/hostkey
chmod 600 /mnt/hostkey
/usr/sbin/sshd -o PermitRootLogin=prohibit-password -o AuthorizedKeysFile=/mnt/authorized -o HostKey=/mnt/hostkey -o StrictModes=no
say ready
# one domain after the other, until one answers: its address is given to whatever card it has
served=
until=$(($(date +%s) + 3000))
while [ "$(date +%s)" -lt "$until" ]; do
	sleep 3
	mac=$(xl network-list debian-2g 2>/dev/null | sed -n '2s/.*\(00:16:3e:[0-9a-f:]*\).*/\1/p')
	[ -n "$mac" ] || continue
	if [ "$mac" != "$served" ]; then
		[ -z "$served" ] || kill "$server"
		perl net serve xenbr0 10.77.0.1 10.77.0.2 "$mac" &
		server=$! served=$mac
	fi
	perl net http 10.77.0.2 80 /healthz >http
	grep -q '^HTTP/1.1 200' http && break
done
say "http $(head -1 http | tr -d '\r')"
say "disks $(xl block-list debian-2g | sed 1d | wc -l)"
say "target $(sed -n 's/^disk = .*target=\(.*\)" \]$/\1/p' images/debian-2g.cfg)"
xl destroy debian-2g
tail -25 log | while read -r line; do say "log $line"; done
END
port=$(shuf -n 1 -i 20000-39999)
xd_start "$TMP/run" 8G -netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=n
xd_wait ready 600

bt_say "== debian-2g is published, and started"
cat >"$XT_DIR/bin/ssh" <<END
#!/bin/sh
exec $(command -v ssh) -F /dev/null -i "$XT_DIR/key" -oUserKnownHostsFile="$XT_DIR/known_hosts" -oHostKeyAlias=dom0 "\$@"
END
chmod 755 "$XT_DIR/bin/ssh"
printf 'dom0 %s\n' "$(cut -d' ' -f1,2 "$XT_DIR/work/hostkey.pub")" >"$XT_DIR/known_hosts"
# Emulation may kill a sound guest (ARCHITECTURE.md, "Stumbles")
for try in 1 2 3; do
	rc=0
	PATH="$XT_DIR/bin:$PATH" "$PVIMG" publish "$image" --to "xl+ssh://root@127.0.0.1:$port/mnt/images" --unverified \
		--memory 768MiB --start --deadline 600 --json >"$TMP/result" 2>"$TMP/publish" || rc=$?
	[ "$rc" -ne 0 ] || break
	bt_say "note: try $try: $(tail -1 "$TMP/publish")"
done
tail -5 "$TMP/publish"
bt_is "pvimg publish --start: exit status" "$rc" 0
[ "$rc" -eq 0 ] || bt_fail "no domain to ask"
sum=$(sha256sum "$image")
xd_wait end 1200
cat "$TMP/said"
bt_is "Apache in the domain answers" "$(xd_said http)" "HTTP/1.1 200 OK"
bt_is "one disk" "$(xd_said disks)" 1
bt_is "its configuration names the image" "$(xd_said target)" "/mnt/images/debian-2g-$(printf %.12s "$sum").raw"
xt_end
