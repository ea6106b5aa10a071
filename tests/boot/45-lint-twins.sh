#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pvimg lint is green on a finished image and red on a broken twin for each of its checks: one thing is broken in a copy,
# exactly that check goes red, the copy is mended. LINT_IMAGE names an image; without it one that was built before.
# time limit: 600
set -u
. tests/boot/common.sh
bt_need debugfs e2undo sgdisk mcopy python3 cpio

image=${LINT_IMAGE:-}
for file in out/test-images/*/*.raw out/images/debian-*/*.raw out/images/*/*.raw; do
	[ -n "$image" ] || [ ! -f "$file" ] || image=$file
done
[ -n "$image" ] || bt_skip "no image was built here; say LINT_IMAGE=FILE"
copy=$TMP/twin.raw
cp --reflink=auto --sparse=always "$image" "$copy" || exit 1

# --- the copy ---

sector_of() { sgdisk -i "$1" "$copy" | sed -n "s/^$2 sector: \([0-9]*\) .*/\1/p"; }
root_start=$(($(sector_of 1 First) * 512))
root_end=$(sector_of 1 Last)
bios_start=$(($(sector_of 14 First) * 512))
esp="$copy@@$(($(sector_of 15 First) * 512))"
export MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null
size=$(stat -c %s "$copy")

look() { debugfs -R "$1" "$copy?offset=$root_start" 2>/dev/null; }
# debugfs commands, noted for `mend`
change() {
	# e2undo leaves the superblock as it is
	dd if="$copy" of="$TMP/super" bs=512 skip=$((root_start / 512 + 2)) count=2 2>/dev/null
	printf '%s\n' "$@" >"$TMP/commands"
	debugfs -w -z "$TMP/undo" -f "$TMP/commands" "$copy?offset=$root_start" >"$TMP/debugfs.log" 2>&1 || {
		cat "$TMP/debugfs.log"
		bt_fail "debugfs: $*"
	}
}
exists() { ! look "stat $1" | grep -q 'not found' && [ -n "$(look "stat $1")" ]; }

# put PATH TEXT: a file in place of what is there
put() { printf '%b' "$2" >"$TMP/new" && put_file "$1" "$TMP/new"; }
put_file() {
	if exists "$1"; then
		change "rm $1" "cd ${1%/*}/" "write $2 ${1##*/}"
	else
		change "cd ${1%/*}/" "write $2 ${1##*/}"
	fi
}
remove() {
	exists "$1" || bt_fail "$check: $1 is not in the image"
	change "rm $1"
}
# edit PATH SED: changes a file's text, or bytes of a binary
edit() {
	rm -f "$TMP/old"
	look "dump $1 $TMP/old"
	LC_ALL=C sed "$2" "$TMP/old" >"$TMP/edited"
	! cmp -s "$TMP/old" "$TMP/edited" || bt_fail "$check: sed '$2' changes nothing in $1"
	put_file "$1" "$TMP/edited"
}
# esp_put PATH FILE, with its old content kept for `mend`
esp_put() {
	mcopy -n -i "$esp" "::$1" "$TMP/esp.old" && esp_path=$1
	mcopy -o -i "$esp" "$2" "::$1" || bt_fail "mcopy $1"
}
poke() { # poke OFFSET OCTAL-ESCAPES, with the sector kept for `mend`
	poked=$(($1 / 512))
	dd if="$copy" of="$TMP/sector" bs=512 skip=$poked count=1 2>/dev/null
	printf '%b' "$2" | dd of="$copy" bs=1 seek="$1" conv=notrunc 2>/dev/null
}
# the partition tables, before sgdisk changes them
keep_tables() {
	dd if="$copy" of="$TMP/head" bs=512 count=34 2>/dev/null
	dd if="$copy" of="$TMP/tail" bs=512 skip=$((size / 512 - 33)) count=33 2>/dev/null
}
mend() {
	if [ -f "$TMP/undo" ]; then
		e2undo -f -o "$root_start" "$TMP/undo" "$copy" >"$TMP/e2undo.log" 2>&1 || {
			cat "$TMP/e2undo.log"
			bt_fail "e2undo"
		}
		dd if="$TMP/super" of="$copy" bs=512 seek=$((root_start / 512 + 2)) conv=notrunc 2>/dev/null
	fi
	if [ -n "$esp_path" ]; then
		mcopy -o -i "$esp" "$TMP/esp.old" "::$esp_path" || bt_fail "mcopy"
	fi
	[ -z "$poked" ] || dd if="$TMP/sector" of="$copy" bs=512 seek="$poked" conv=notrunc 2>/dev/null
	if [ -f "$TMP/head" ]; then
		dd if="$TMP/head" of="$copy" bs=512 conv=notrunc 2>/dev/null
		dd if="$TMP/tail" of="$copy" bs=512 seek=$((size / 512 - 33)) conv=notrunc 2>/dev/null
	fi
	rm -f "$TMP/undo" "$TMP/head" "$TMP/tail" "$TMP/esp.old"
	esp_path='' poked=''
}

# --- verdicts ---

red() {
	"$PVIMG" lint --json "$copy" 2>"$TMP/lint.err" >"$TMP/lint.json"
	rc=$?
	python3 - "$TMP/lint.json" "$rc" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
red = [c["name"] for c in report["checks"] if not c["ok"]]
assert report["green"] == (not red) and int(sys.argv[2]) == (7 if red else 0), (red, sys.argv[2])
for c in report["checks"]:
    assert c["ok"] == (not c["faults"]) and c["reason"], c
print(*red)
PYTHON
}

done_checks=' ' check='' esp_path='' poked=''
# twin CHECK FUNCTION: after FUNCTION exactly CHECK is red
twin() {
	check=$1
	shift
	"$@"
	found=$(red)
	if [ "$found" != "$check" ]; then
		bt_say "BAD  $check: red is '$found' after: $*"
		BT_BAD=$((BT_BAD + 1))
	fi
	mend
	done_checks="$done_checks$check "
}

# --- what breaks, check by check ---

version=$(look 'ls -p /lib/modules' | awk -F/ '$6 ~ /^[0-9]/ { print $6; exit }')
cfg=/boot/grub/grub.cfg
wants=/etc/systemd/system/multi-user.target.wants
cloud=/etc/cloud/cloud.cfg.d/95_pvimg.cfg
apache=/etc/apache2/conf-available/zz-pvimg.conf
pyc=/usr/lib/python3/dist-packages/__pycache__
pyc=$pyc/$(look "ls -p $pyc" | awk -F/ '$6 ~ /\.pyc$/ { print $6; exit }')

module_path() {	# of a module's name
	look "cat /lib/modules/$version/modules.dep" >"$TMP/dep"
	echo "/lib/modules/$version/$(sed -n "s,^\([^:]*/$1\.ko[^:]*\):.*,\1,p" "$TMP/dep")"
}
zero_backup() { poke $((size - 512)) '\0\0\0\0\0\0\0\0'; }
zero_primary_crc() { poke $((512 + 16)) '\0\0\0\0'; }
no_bios_partition() { keep_tables; sgdisk -t 14:0700 "$copy" >/dev/null; }
part_behind_root() {
	keep_tables
	sgdisk -a 1 -n "2:$((root_end + 1)):$((root_end + 8))" -t 2:0700 "$copy" >/dev/null
}
other_core_place() { poke $((0x5c)) '\0001'; }
other_core() { poke $((bios_start + 20000)) 'not GRUB'; }
no_loader() {
	esp_path=EFI/BOOT/BOOTX64.EFI
	mcopy -n -i "$esp" "::$esp_path" "$TMP/esp.old" || bt_fail "mcopy"
	mdel -i "$esp" "::$esp_path" || bt_fail "mdel"
}
other_loader() {
	look "dump /usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed $TMP/efi"
	esp_put EFI/BOOT/grubx64.efi "$TMP/efi"
}
other_stub() {
	mcopy -n -i "$esp" ::EFI/BOOT/grub.cfg "$TMP/stub" && sed -i 's/fs_uuid ..../fs_uuid 0000/' "$TMP/stub"
	esp_put EFI/BOOT/grub.cfg "$TMP/stub"
	rm "$TMP/stub"
}
not_for_upgrades() {
	if exists /etc/grub.d/enable_cloud; then
		remove /etc/grub.d/enable_cloud
	else
		edit /var/cache/debconf/config.dat '/^Name: grub-pc.cloud_style/,/^$/s/^Value: true/Value: false/'
	fi
}
other_module() {
	path=$(module_path xen-netfront)
	[ "$path" != "/lib/modules/$version/" ] || path=$(module_path xenfs)
	look "dump $path $TMP/ko"
	case $path in
	*.xz) xz -dc ;;
	*.zst) zstd -dcq ;;
	*) cat ;;
	esac <"$TMP/ko" | LC_ALL=C sed 's/vermagic=[0-9]/vermagic=3/' >"$TMP/ko.new"
	case $path in
	*.xz) xz --check=crc32 -c ;;
	*.zst) zstd -cq ;;
	*) cat ;;
	esac <"$TMP/ko.new" >"$TMP/ko"
	put_file "$path" "$TMP/ko"
}
empty_initramfs() {
	mkdir -p "$TMP/rd" && : >"$TMP/rd/init"
	(cd "$TMP/rd" && echo init | cpio -o -H newc --quiet) >"$TMP/rd.img"
	put_file "/boot/initrd.img-$version" "$TMP/rd.img"
}
no_ssh() {
	link=/etc/systemd/system/sockets.target.wants/ssh.socket
	exists $link || link=$wants/ssh.service
	remove $link
}
this_host() {
	name=$(uname -n)
	case $name in
	debian|ubuntu|'') name=Build_Host ;;
	esac
	put /etc/hostname "$name\n"
}

found=$(red)
tests/schema/validate "$TMP/lint.json" || [ $? -eq 77 ] || bt_fail "the report does not follow its schema"
[ -z "$found" ] || { cat "$TMP/lint.json"; bt_fail "$image is not green: $found"; }

twin gpt zero_backup
twin gpt zero_primary_crc
twin partitions no_bios_partition
twin root-last part_behind_root
twin boot-sector other_core_place
twin core-image other_core
twin uefi-loader no_loader
twin secure-boot other_loader
twin uefi-config other_stub
twin filesystem change 'ssv state 2'
twin ext4-features change 'feature encrypt'
twin grub-timeout edit $cfg 's/set timeout=0/set timeout=5/'
twin grub-defaults edit /etc/default/grub.d/50-pvimg.cfg 's/^GRUB_TIMEOUT=0/GRUB_TIMEOUT=5/'
twin consoles edit $cfg 's/ console=hvc0//'
twin consoles edit $cfg 's/ console=tty1 console=hvc0/ console=hvc0 console=tty1/'
twin root-uuid edit $cfg 's/root=UUID=[0-9a-f-]*/root=LABEL=x/'
twin root-uuid edit $cfg '/search/s/[0-9a-f-]\{36\}$/00000000-0000-0000-0000-000000000000/'
twin eth0 edit $cfg 's/ net.ifnames=0//'
twin fstab edit /etc/fstab 's/UUID=[0-9A-F]*-\([0-9A-F]* .boot.efi\)/UUID=0000-\1/'
twin device-names put /etc/initramfs-tools/conf.d/resume 'RESUME=/dev/vda2\n'
twin device-names put /boot/grub/device.map '(hd0) /dev/loop3\n'
twin grub-modules remove /boot/grub/i386-pc/normal.mod
twin grub-upgrades not_for_upgrades
twin kernel-files remove "/boot/config-$version"
twin kernel-default edit $cfg 's/vmlinuz-[^ ]*/vmlinuz-9.9.9-none/'
twin kernel-default change 'rm /vmlinuz' 'cd /' 'symlink vmlinuz boot/vmlinuz-9.9.9-none'
twin kernel-image edit "/boot/vmlinuz-$version" "s/$version (/$(printf %s "$version" | tr 0-9 9) (/"
twin kernel-config edit "/boot/config-$version" 's/^CONFIG_XEN_PVHVM=y/# CONFIG_XEN_PVHVM is not set/'
twin kernel-modules remove "$(module_path xenfs)"
twin vermagic other_module
twin initramfs empty_initramfs
twin suite edit /usr/lib/os-release 's/^VERSION_CODENAME=.*/VERSION_CODENAME=sid/'
twin packages edit /var/lib/dpkg/status '/^Package: gzip$/,/^$/s/^Status: .*/Status: install ok half-configured/'
twin suite-packages edit /var/lib/dpkg/status 's/^Package: logrotate$/Package: logrotat/'
twin cloud-init remove /etc/systemd/system/cloud-init.target.wants/cloud-final.service
twin datasources edit $cloud 's/ConfigDrive, //'
twin grow-root edit $cloud "s/mode: auto/mode: 'off'/"
twin ssh-server no_ssh
twin ssh-passwords edit /etc/ssh/sshd_config.d/60-pvimg.conf 's/^PasswordAuthentication no/PasswordAuthentication yes/'
twin ssh-passwords put /etc/ssh/sshd_config.d/10-first.conf 'PasswordAuthentication yes\n'
twin accounts edit /etc/shadow 's/^root:[^:]*:/root::/'
twin clock remove $wants/chrony.service
twin boot-waste edit $cloud 's/^ssh_genkeytypes: .*/ssh_genkeytypes: [ rsa, ed25519 ]/'
twin boot-waste edit $cloud '/^ssh_genkeytypes/d'
twin boot-waste remove /etc/modprobe.d/50-pvimg.conf
twin boot-waste put $wants/e2scrub_reap.service ''
twin identity put /etc/ssh/ssh_host_rsa_key 'a key\n'
twin machine-id put /etc/machine-id '0123456789abcdef0123456789abcdef\n'
twin hostname this_host
twin resolver put /etc/resolv.conf 'nameserver 192.0.2.1\n'
twin network put /etc/udev/rules.d/70-persistent-net.rules 'SUBSYSTEM=="net", ATTR{address}=="00:16:3e:00:00:01"\n'
twin logs put /var/log/dpkg.log 'a line\n'
twin caches put /var/cache/apt/pkgcache.bin ''
twin bytecode put /usr/lib/python3/dist-packages/__pycache__/pvimg.cpython-311.pyc '0123\0003\0000\0000\000001234567'
twin bytecode edit "$pyc" '2s/^\x03/\x00/'	# from "checked hash" to "time of the source"
twin runtime put /tmp/x ''
twin runtime change 'sif /tmp mode 040755'
twin policy-rc.d put /usr/sbin/policy-rc.d 'exit 101\n'
# shellcheck disable=SC2016 # sed's $
twin diversions edit /var/lib/dpkg/diversions '$a /usr/sbin/x\n/usr/sbin/x.distrib\n:'
twin leftovers put /etc/fstab.dpkg-new ''
twin leftovers put /etc/initramfs-tools/hooks/pvimg 'exit 0\n'
twin apt-sources put /etc/apt/sources.list.d/local.list 'deb file:/srv/mirror stable main\n'
twin apt-sources put /etc/apt/sources.list.d/user.list 'deb http://joe:secret@example.com/ stable main\n'
twin apt-config put /etc/apt/apt.conf.d/01proxy 'Acquire::http::Proxy "http://192.0.2.1:3128";\n'
twin services remove $wants/memcached.service
twin memcached-listen edit /etc/memcached.conf 's/^-l .*/-l 0.0.0.0/'
twin memcached-listen edit /etc/memcached.conf '/^-U/d'
twin memcached-size edit /etc/memcached.conf '/^-t/d'
twin apache-mpm remove /etc/apache2/mods-enabled/mpm_event.load
twin apache-size edit $apache 's/^\([[:blank:]]*ServerLimit\) .*/\1 1/'
twin apache-quiet edit $apache 's/^ServerTokens .*/ServerTokens Full/'
twin apache-health remove /usr/share/pvimg/healthz.txt
twin nofile edit /etc/systemd/system/memcached.service.d/50-pvimg.conf 's/^LimitNOFILE=.*/LimitNOFILE=64/'
twin sysctl edit /etc/sysctl.d/60-pvimg.conf 's/^\(net.core.somaxconn =\).*/\1 16/'

# --- none left out; the mended copy is the image ---

for check in $(python3 -c 'import json, sys; print(*[c["name"] for c in json.load(open(sys.argv[1]))["checks"]])' \
	"$TMP/lint.json"); do
	case $done_checks in
	*" $check "*) ;;
	*)
		bt_say "BAD  $check: has no broken twin here"
		BT_BAD=$((BT_BAD + 1)) ;;
	esac
done
bt_is "the mended copy is green again" "$(red)" ''
[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"
