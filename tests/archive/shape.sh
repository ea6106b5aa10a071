# SPDX-License-Identifier: Apache-2.0
# Second half of tests/archive/make: gives the packages in $dir/debs the shapes of two distributions' archives.
# shellcheck shell=sh disable=SC2154,SC2016 # dir, apt, here come from make

ta_keys "$dir"
rm -rf "$dir/debian" "$dir/debian-security" "$dir/ubuntu" "$dir/mini" "$dir/extra"
mkdir -p "$dir/debian/pool/main" "$dir/debian-security/pool/main" "$dir/extra"
far='Valid-Until: Sat, 01 Jan 2095 00:00:00 UTC'

# newest_of NAME: the package file of that name.
newest_of() { set -- "$dir/debs/$1"_*.deb && echo "$1"; }
version_of() { dpkg-deb -f "$1" Version; }

# --- Debian: all in main; what came from the security archive also there; one newer package in each pocket ---
while read -r name _ _ where; do
	ln -f "$dir/debs/$name" "$dir/debian/pool/main/$name"
	[ "$where" = m ] || ln -f "$dir/debs/$name" "$dir/debian-security/pool/main/$name"
done <"$apt/files"
mkdir -p "$dir/debian/pool/updates"
host=$(newest_of hostname)
sens=$(newest_of sensible-utils)
ta_repack "$host" "$dir/debian-security/pool/main/hostname_$(version_of "$host")+security1_amd64.deb" \
	's/^Version: .*/&+security1/'
ta_repack "$sens" "$dir/debian/pool/updates/sensible-utils_$(version_of "$sens")+updates1_all.deb" \
	's/^Version: .*/&+updates1/'
ta_stanzas "$dir/debian" pool/main >"$apt/main.packages"
ta_stanzas "$dir/debian" pool/updates >"$apt/updates.packages"
ta_stanzas "$dir/debian-security" pool/main >"$apt/security.packages"
ta_index "$dir/debian/dists/bookworm" main "$apt/main.packages"
ta_index "$dir/debian/dists/bookworm-updates" main "$apt/updates.packages"
ta_index "$dir/debian-security/dists/bookworm-security" main "$apt/security.packages"
ta_release "$dir/debian/dists/bookworm" Debian stable bookworm 12.99 main Debian 'X-Pvimg-Stand-In: yes'
ta_release "$dir/debian/dists/bookworm-updates" Debian stable-updates bookworm-updates 12-updates main Debian \
	"$far" 'X-Pvimg-Stand-In: yes'
ta_release "$dir/debian-security/dists/bookworm-security" Debian stable-security bookworm-security 12 main \
	Debian-Security "$far" 'X-Pvimg-Stand-In: yes'

# --- Ubuntu: the same files under Ubuntu's names where those differ ---
mkdir -p "$dir/ubuntu/pool/main" "$dir/ubuntu/pool/universe" "$dir/ubuntu/pool/updates" "$dir/ubuntu/pool/security"
# These come again below, changed; the rest are the very files.
changed='^(base-files|grub-efi-amd64-signed|netplan\.io)_'
for f in "$dir"/debs/*.deb; do
	if ! printf '%s' "${f##*/}" | grep -Eq "$changed"; then
		ln -f "$f" "$dir/ubuntu/pool/main/${f##*/}"
	fi
done

# awk over names: "NEW=OLD [universe]" becomes an empty package NEW that depends on OLD.
awk '/^#/ { next } $1 == "ubuntu" && $2 ~ /=/ { split($2, a, "="); print a[1], a[2], $3 == "universe" ? $3 : "main" }' \
	"$here/names" >"$apt/renames"
while read -r new old component; do
	version=$(version_of "$(newest_of "$old")")
	ta_meta "$dir/extra" "$new" "$version" "$old"
	mv "$dir/extra/${new}_${version}_all.deb" "$dir/ubuntu/pool/$component/${new}_${version#*:}_all.deb"
done <"$apt/renames"

keys=$dir/extra/ubuntu-keyring.tree/usr/share/keyrings
mkdir -p "$keys" "$dir/extra/ubuntu-keyring.tree/etc/apt/trusted.gpg.d"
cp "$dir/test.gpg" "$keys/ubuntu-archive-keyring.gpg"
cp "$dir/test.gpg" "$dir/extra/ubuntu-keyring.tree/etc/apt/trusted.gpg.d/ubuntu-keyring-2018-archive.gpg"
chmod -R go+rX "$dir/extra/ubuntu-keyring.tree"
ta_meta "$dir/extra" ubuntu-keyring 2023.11.28.1 ''
mv "$dir/extra"/ubuntu-keyring_*.deb "$dir/ubuntu/pool/main/"

as_ubuntu() { # as_ubuntu CODENAME VERSION
	cat >usr/lib/os-release <<-EOF
	PRETTY_NAME="Ubuntu stand-in made by pvimg's tests"
	NAME="Ubuntu"
	VERSION_ID="$2"
	VERSION="$2 LTS (stand-in)"
	VERSION_CODENAME=$1
	ID=ubuntu
	ID_LIKE=debian
	UBUNTU_CODENAME=$1
	EOF
}

# The signed GRUB looks for its configuration in EFI/debian; Ubuntu's in EFI/ubuntu. Both have six letters. The
# signature no longer holds, which only Secure Boot would notice.
grub_prefix() { sed -i 's,/EFI/debian,/EFI/ubuntu,g' usr/lib/grub/x86_64-efi-signed/*.signed; }
f=$(newest_of grub-efi-amd64-signed)
ta_repack "$f" "$dir/ubuntu/pool/main/${f##*/}" 's/^X-none//' grub_prefix
f=$(newest_of netplan.io)
ta_repack "$f" "$dir/ubuntu/pool/main/${f##*/}" 's/^X-none//'

ta_repack "$sens" "$dir/ubuntu/pool/updates/sensible-utils_$(version_of "$sens")+updates1_all.deb" \
	's/^Version: .*/&+updates1/'
ta_repack "$host" "$dir/ubuntu/pool/security/hostname_$(version_of "$host")+security1_amd64.deb" \
	's/^Version: .*/&+security1/'
for p in main universe updates security; do
	ta_stanzas "$dir/ubuntu" "pool/$p" >"$apt/ubuntu-$p.packages"
done
# The same packages under each suite's name: what differs by suite is in our table, and so is driven through.
: >"$apt/empty"
ubuntu_suite() { # ubuntu_suite CODENAME VERSION
	mkdir -p "$dir/ubuntu/pool/$1"
	f=$(newest_of base-files)
	ta_repack "$f" "$dir/ubuntu/pool/$1/${f##*/}" 's/^Origin: .*/Origin: Ubuntu/' as_ubuntu "$1" "$2"
	drop='^$'
	if [ "$1" = jammy ]; then # its own way of being merged: usrmerge, required, and no usr-is-merged
		TA_PRIORITY=required ta_meta "$dir/extra" usrmerge 25ubuntu2 ''
		mv "$dir/extra"/usrmerge_*.deb "$dir/ubuntu/pool/jammy/"
		drop='^Package: (usrmerge|usr-is-merged)\n'
	fi
	{
		awk -v RS= -v ORS='\n\n' -v drop="$drop" '$0 !~ drop' "$apt/ubuntu-main.packages"
		ta_stanzas "$dir/ubuntu" "pool/$1"
	} >"$apt/suite.packages"
	for s in "$1" "$1-updates" "$1-security"; do
		case $s in
		"$1") m=suite.packages u=ubuntu-universe.packages ;;
		*) m=ubuntu-${s##*-}.packages u=empty ;;
		esac
		ta_index "$dir/ubuntu/dists/$s" main "$apt/$m"
		ta_index "$dir/ubuntu/dists/$s" universe "$apt/$u"
		ta_release "$dir/ubuntu/dists/$s" Ubuntu "$s" "$1" "$2" 'main universe' Ubuntu 'X-Pvimg-Stand-In: yes'
	done
}
ubuntu_suite jammy 22.04
ubuntu_suite noble 24.04
ubuntu_suite resolute 26.04

# --- mini: for tests that need many builds. Its packages beside base and GRUB are empty or tiny. ---
mini=$dir/mini/pool/main
mkdir -p "$mini" "$dir/mini/pool/bad"
while read -r name; do
	ln -f "$dir/debs/$name" "$mini/$name"
done <"$apt/mini.files"
# With the real one's version, where there is one: others' Breaks look at it.
mini_put() { # mini_put NAME DEPENDS [control line]
	v=1.0
	[ ! -e "$(newest_of "$1")" ] || v=$(version_of "$(newest_of "$1")")
	ta_meta "$dir/extra" "$1" "$v" "$2" "${3-}"
	mv "$dir/extra/$1_${v}_all.deb" "$mini/$1_${v#*:}_all.deb"
}
tree=$dir/extra/linux-image-virtual.tree
mkdir -p "$tree/boot" "$tree/lib/modules/6.8.0-0-test"
echo 'not a kernel' >"$tree/boot/vmlinuz-6.8.0-0-test"
printf 'CONFIG_XEN_PVHVM=y\nCONFIG_XEN_BLKDEV_FRONTEND=y\nCONFIG_XEN_NETDEV_FRONTEND=y\n' >"$tree/boot/config-6.8.0-0-test"
tree=$dir/extra/initramfs-tools.tree
mkdir -p "$tree/usr/sbin"
printf '#!/bin/sh\necho "no initramfs" >"/boot/initrd.img-$3"\n' >"$tree/usr/sbin/update-initramfs"
chmod 755 "$tree/usr/sbin/update-initramfs"
mkdir -p "$dir/extra/shim-signed.tree/usr/lib/shim" "$dir/extra/grub-efi-amd64-signed.tree/usr/lib/grub/x86_64-efi-signed"
echo 'not a shim' >"$dir/extra/shim-signed.tree/usr/lib/shim/shimx64.efi.signed"
echo 'not GRUB' >"$dir/extra/grub-efi-amd64-signed.tree/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
ubuntu_names | sed 's/=.*//' | while read -r name; do
	grep -q "^${name}_" "$apt/mini.files" || mini_put "$name" ''
done
# bad NAME POSTINST [control line]: a package whose installation goes wrong in one way.
bad() {
	mkdir -p "$dir/extra/$1.tree/DEBIAN"
	printf '#!/bin/sh\n%s\n' "$2" >"$dir/extra/$1.tree/DEBIAN/postinst"
	chmod 755 "$dir/extra/$1.tree/DEBIAN/postinst"
	mini_put "$1" '' "${3-}"
}
bad test-fails 'echo "the frobnicator is broken" >&2; exit 1'
bad test-is-killed 'echo "about to be killed"; kill -KILL $PPID; sleep 10'
bad test-sleeps 'echo sleeping; sleep 60'
bad test-fills-disk 'dd if=/dev/zero of=/usr/share/filler bs=1M count=1500 status=none && echo filled'
bad test-varies 'cat /proc/sys/kernel/random/uuid >/usr/share/varies'
bad test-claims-little 'dd if=/dev/zero of=/usr/share/filler bs=1M count=850 status=none' 'Installed-Size: 200000'
bad test-claims-much ':' 'Installed-Size: 90000000'
mv "$mini"/test-*.deb "$dir/mini/pool/bad/"
# Broken on purpose after the index was made: other bytes, and too few.
for name in test-other-bytes test-short; do mini_put "$name" ''; done

ta_stanzas "$dir/mini" pool >"$apt/mini.packages"
printf x | dd of="$mini/test-other-bytes_1.0_all.deb" bs=1 seek=200 conv=notrunc status=none
truncate -s 300 "$mini/test-short_1.0_all.deb"
for s in noble noble-updates noble-security; do
	if [ "$s" = noble ]; then p=mini.packages; else p=empty; fi
	ta_index "$dir/mini/dists/$s" main "$apt/$p"
	ta_index "$dir/mini/dists/$s" universe "$apt/empty"
	ta_release "$dir/mini/dists/$s" Ubuntu "$s" noble 24.04 'main universe' Ubuntu 'X-Pvimg-Stand-In: yes'
done

ta_sign "$dir/test.secret" "$dir"/debian/dists/* "$dir"/debian-security/dists/* "$dir"/ubuntu/dists/* "$dir"/mini/dists/*
rm -rf "$dir/extra"
