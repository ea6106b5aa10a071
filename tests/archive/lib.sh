# SPDX-License-Identifier: Apache-2.0
# Shared by tests/archive/make and the tests that bend an archive: indexes, Release files, signatures, repacking.
# shellcheck shell=sh

# ta_keys DIR: a throw-away signing key and a stranger's: DIR/{test,other}.{secret,gpg}. Nothing stays in ~/.gnupg.
ta_keys() {
	for ta_k in test other; do
		[ -s "$1/$ta_k.gpg" ] && continue
		ta_gpg_begin
		ta_gpg --passphrase '' --quick-gen-key "pvimg $ta_k archive (throw-away) <$ta_k@example.invalid>" \
			ed25519 sign never
		ta_gpg --export-secret-keys >"$1/$ta_k.secret"
		ta_gpg --export >"$1/$ta_k.gpg"
		ta_gpg_end
	done
}

# A GnuPG home under /tmp, because its sockets' paths must be short.
ta_gpg_begin() {
	TA_GNUPG=$(mktemp -d /tmp/ta-gpg.XXXXXX)
	chmod 700 "$TA_GNUPG"
}
ta_gpg() { gpg --homedir "$TA_GNUPG" --batch --yes --quiet --no-tty "$@" 2>"$TA_GNUPG/log" || {
	cat "$TA_GNUPG/log" >&2; return 1; }; }
ta_gpg_end() {
	gpgconf --homedir "$TA_GNUPG" --kill all >/dev/null 2>&1 || :
	rm -rf "$TA_GNUPG"
}

# ta_fingerprint KEYRING: the 40 digits of its first primary key.
ta_fingerprint() {
	ta_gpg_begin
	gpg --homedir "$TA_GNUPG" --batch --with-colons --show-keys "$1" 2>/dev/null |
		awk -F: '$1 == "fpr" { print $10; exit }'
	ta_gpg_end
}

# ta_sign KEY.secret SUITE_DIR...: InRelease and Release.gpg from each Release.
ta_sign() {
	ta_secret=$1
	shift
	ta_gpg_begin
	ta_gpg --import "$ta_secret"
	for ta_d in "$@"; do
		ta_gpg --clearsign -o "$ta_d/InRelease" "$ta_d/Release"
		ta_gpg --detach-sign --armor -o "$ta_d/Release.gpg" "$ta_d/Release"
	done
	ta_gpg_end
}

# ta_index DIR COMPONENT PACKAGES_FILE: DIR/COMPONENT/binary-amd64/Packages{,.gz,.xz} and by-hash copies.
ta_index() {
	ta_b=$1/$2/binary-amd64
	mkdir -p "$ta_b"
	cp "$3" "$ta_b/Packages"
	gzip -9nkf "$ta_b/Packages"
	xz -kf "$ta_b/Packages"
	rm -rf "$ta_b/by-hash"
	mkdir -p "$ta_b/by-hash/SHA256"
	for ta_f in Packages Packages.gz Packages.xz; do
		ln -f "$ta_b/$ta_f" "$ta_b/by-hash/SHA256/$(sha256sum <"$ta_b/$ta_f" | cut -d' ' -f1)"
	done
}

# ta_release DIR ORIGIN SUITE CODENAME VERSION "COMPONENTS" LABEL [extra field line...]: DIR/Release, unsigned.
ta_release() {
	ta_r=$1 ta_origin=$2 ta_suite=$3 ta_code=$4 ta_version=$5 ta_comps=$6 ta_label=$7
	shift 7
	rm -f "$ta_r/Release" "$ta_r/InRelease" "$ta_r/Release.gpg"
	{
		printf 'Origin: %s\nLabel: %s\nSuite: %s\nVersion: %s\nCodename: %s\n' \
			"$ta_origin" "$ta_label" "$ta_suite" "$ta_version" "$ta_code"
		printf 'Date: %s\n' "${TA_DATE:-$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S UTC')}"
		for ta_line in "$@"; do printf '%s\n' "$ta_line"; done
		printf 'Acquire-By-Hash: yes\nArchitectures: amd64\nComponents: %s\n' "$ta_comps"
		printf 'Description: pvimg test archive\nSHA256:\n'
		(cd "$ta_r" && find . -type f -path '*/binary-amd64/Packages*' | LC_ALL=C sort | while read -r ta_f; do
			printf ' %s %s %s\n' "$(sha256sum <"$ta_f" | cut -d' ' -f1)" "$(stat -c %s "$ta_f")" "${ta_f#./}"
		done)
	} >"$ta_r.new"
	mv "$ta_r.new" "$ta_r/Release"
}

# ta_stanzas POOL_PARENT FOLDER: Packages text for every .deb below FOLDER (paths relative to POOL_PARENT).
ta_stanzas() { (cd "$1" && apt-ftparchive --md5=no --sha1=no --sha512=no packages "$2"); }

# ta_meta DIR NAME VERSION DEPENDS [extra control line]: an empty package DIR/NAME_VERSION_all.deb, or, when
# DIR/NAME.tree exists, one that holds that tree.
ta_meta() {
	ta_t=$1/$2.tree
	mkdir -p "$ta_t/DEBIAN"
	chmod 755 "$ta_t" "$ta_t/DEBIAN"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: pvimg tests <t@example.invalid>\n' "$2" "$3"
		printf 'Section: misc\nPriority: %s\n' "${TA_PRIORITY:-optional}"
		[ -z "$4" ] || printf 'Depends: %s\n' "$4"
		[ -z "${5-}" ] || printf '%s\n' "$5"
		printf 'Description: stands in for %s in tests\n' "$2"
	} >"$ta_t/DEBIAN/control"
	dpkg-deb --root-owner-group -Zgzip -z1 -b "$ta_t" "$1/$2_$3_all.deb" >/dev/null
	rm -rf "$ta_t"
}

# ta_repack OLD.deb NEW.deb CONTROL_SED [command...]: the same package with its control file edited; the command
# is run in the unpacked tree. Owners are root's and modes are kept.
ta_repack() {
	ta_old=$1 ta_new=$2 ta_sed=$3
	shift 3
	ta_t=$(mktemp -d)
	(
		cd "$ta_t" || exit
		dpkg-deb -R "$ta_old" t
		sed -i "$ta_sed" t/DEBIAN/control
		if [ $# -gt 0 ]; then
			(cd t && "$@")
			[ ! -f t/DEBIAN/md5sums ] || (cd t && find . -type f ! -path './DEBIAN/*' -printf '%P\0' |
				LC_ALL=C sort -z | xargs -0r md5sum >DEBIAN/md5sums)
		fi
		dpkg-deb --root-owner-group -Zgzip -z1 -b t "$ta_new" >/dev/null
	)
	rm -rf "$ta_t"
}
