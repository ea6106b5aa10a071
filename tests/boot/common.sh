# SPDX-License-Identifier: Apache-2.0
# Shared by tests/boot and tests/cli/5*: an ordinary user to build as, what a result must hold, what must not be left.
# shellcheck shell=sh
# The caller has set TMP (a scratch folder) and PVIMG, and runs in the project's root.

bt_say() { printf '%s\n' "$*"; }
bt_fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
bt_skip() { printf 'skipped: %s\n' "$*"; exit 77; }
bt_need() {
	for bt_p in "$@"; do
		command -v "$bt_p" >/dev/null || bt_skip "$bt_p is not installed"
	done
}

BT_BAD=0
# bt_is WHAT FOUND WANTED
bt_is() {
	if [ "$2" = "$3" ]; then
		[ -n "${BT_QUIET-}" ] || bt_say "ok   $1"
	else
		bt_say "BAD  $1: found '$2', wanted '$3'"
		BT_BAD=$((BT_BAD + 1))
	fi
}

# --- an ordinary user ---

# Makes BT_USER (when root: a new one with subordinate ids; else oneself), BT_HOME (its scratch, outside TMP so that
# it can be reached) and BT_PVIMG: the program as that user can run it, with recipes, overlays and scripts beside it.
bt_user_begin() {
	BT_HOME=$(mktemp -d /var/tmp/pvimg-test.XXXXXX)
	BT_PVIMG=$PVIMG
	if [ "$(id -u)" -ne 0 ]; then
		BT_USER=$(id -un)
		return
	fi
	BT_USER=pvt$$
	useradd --no-create-home --home-dir "$BT_HOME" --shell /bin/sh "$BT_USER"
	grep -q "^$BT_USER:" /etc/subuid || bt_fail "useradd gave no subordinate ids"
	chown "$BT_USER:" "$BT_HOME"
	chmod 755 "$BT_HOME"
	# shellcheck disable=SC2016
	if ! runuser -u "$BT_USER" -- sh -c 'test -x "$1" && test -r recipes && test -r overlays' - "$PVIMG"; then
		mkdir -p "$BT_HOME/src/out"
		cp -R recipes overlays scripts tests "$BT_HOME/src/"
		cp "$PVIMG" "$BT_HOME/src/out/pvimg"
		chmod -R a+rX "$BT_HOME/src"
		BT_PVIMG=$BT_HOME/src/out/pvimg
	fi
}

# bt_as COMMAND...: runs it as that user, in a scratch home, with a cache of its own.
bt_as() {
	if [ "$(id -u)" -eq 0 ]; then
		runuser -u "$BT_USER" -- env -i PATH="$PATH" HOME="$BT_HOME" USER="$BT_USER" LOGNAME="$BT_USER" LANG=C.UTF-8 \
			XDG_CACHE_HOME="$BT_HOME/cache" "$@"
	else
		env XDG_CACHE_HOME="$BT_HOME/cache" "$@"
	fi
}

# Nothing of the user's may be left running; then the user goes. Its work trees hold files of its subordinate ids,
# which a plain user can only remove from inside its user namespace; pvimg clean does that.
bt_user_end() {
	[ -n "${BT_HOME-}" ] && [ -n "${BT_USER-}" ] || return 0
	if [ "$(id -u)" -eq 0 ]; then
		rm -rf "$BT_HOME"
		userdel "$BT_USER" 2>/dev/null || :
	else
		rm -rf "$BT_HOME" 2>/dev/null || unshare --map-auto -r rm -rf "$BT_HOME" || :
	fi
	BT_HOME=
}

# --- independent eyes ---

# bt_root_offset IMAGE: byte offset of partition 1. bt_root_sectors IMAGE: its length.
bt_root_offset() { echo $(($(sgdisk -i 1 "$1" | sed -n 's/^First sector: \([0-9]*\).*/\1/p') * 512)); }
bt_root_sectors() { sgdisk -i 1 "$1" | sed -n 's/^Partition size: \([0-9]*\) .*/\1/p'; }

bt_check_image() {
	bt_out=$(sgdisk -v "$1") || bt_fail "sgdisk -v: $bt_out"
	printf '%s\n' "$bt_out" | grep -q '^No problems found' || bt_fail "sgdisk -v: $bt_out"
	bt_out=$(e2fsck -fn "$1?offset=$(bt_root_offset "$1")" 2>&1) || bt_fail "e2fsck -fn: $bt_out"
	bt_out=$(qemu-img info -U --output=json -f raw "$1") || bt_fail "qemu-img info: $bt_out"
	printf '%s\n' "$bt_out" | grep -q '"format": "raw"' || bt_fail "qemu-img info: $bt_out"
	# Raw has nothing for `qemu-img check` to look at; a copy in qcow2 reads every allocated byte and has.
	qemu-img create -q -f qcow2 -F raw -b "$(realpath "$1")" "$TMP/check.qcow2" || bt_fail "qemu-img create"
	bt_out=$(qemu-img check -q "$TMP/check.qcow2" 2>&1) || bt_fail "qemu-img check: $bt_out"
	rm -f "$TMP/check.qcow2"
}

# bt_json FILE EXPRESSION: Python over the loaded document `d`.
bt_json() { python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }

# --- archives and results ---

# bt_archives: makes tests/archive's archives, or skips.
bt_archives() {
	BT_ARCHIVE=$PWD/out/test-archive
	bt_rc=0
	tests/archive/make "$BT_ARCHIVE" >"$TMP/archive.log" 2>&1 || bt_rc=$?
	[ "$bt_rc" -ne 77 ] || { tail -1 "$TMP/archive.log"; exit 77; }
	[ "$bt_rc" -eq 0 ] || { tail -5 "$TMP/archive.log"; bt_fail "tests/archive/make: exit $bt_rc"; }
}

# The archives where the ordinary user can read them (below /root it cannot).
bt_local_archives() {
	bt_archives
	if ! bt_as test -r "$BT_ARCHIVE/debian/dists/bookworm/InRelease"; then
		cp -R "$BT_ARCHIVE" "$BT_HOME/archive"
		BT_ARCHIVE=$BT_HOME/archive
	fi
}

# bt_real_archive ORIGIN CODENAME: true when a mirror that this machine knows answers for that distribution.
bt_real_archive() {
	# shellcheck disable=SC2016 # apt's own placeholder
	{
		apt-get indextargets --format '$(REPO_URI)' 2>/dev/null
		sed -n 's/^[[:space:]]*default_mirror  *\(http[^ ]*\).*/\1/p' /usr/share/debootstrap/scripts/gutsy \
			"/usr/share/debootstrap/scripts/$2" 2>/dev/null
	} | sort -u >"$TMP/mirrors"
	while read -r bt_m; do
		curl -sfL -m 20 "${bt_m%/}/dists/$2/InRelease" 2>/dev/null | grep -qx "Origin: $1" && return
	done <"$TMP/mirrors"
	return 1
}

# bt_result_complete DIR NAME: the folder holds the five files of a finished build, and beside it lies nothing hidden.
bt_result_complete() {
	for bt_x in "$2.raw" manifest.json report.json report.html build.log; do
		[ -s "$1/$bt_x" ] || bt_fail "$1/$bt_x is not there"
	done
	bt_x=$(find "$1" -mindepth 1 | wc -l)
	bt_is "the result has five files and no more" "$bt_x" 5
	bt_nothing_half "${1%/*}"
}

# bt_nothing_half OUT: no half-written result: only finished folders, .failed and lock files.
bt_nothing_half() {
	[ -d "$1" ] || return 0
	bt_is "nothing half-written in ${1##*/}/" "$(find "$1" -mindepth 1 -maxdepth 1 -name '.*' ! -name .failed \
		! -name '.*.lock' | paste -sd' ')" ""
	bt_is "a failed build keeps only log and report" "$(find "$1/.failed" -mindepth 2 ! -name build.log \
		! -name report.json ! -name report.html 2>/dev/null | paste -sd' ')" ""
}

# bt_nothing_left: no process of the user's or of its subordinate ids, no mount below its scratch, no work folder.
# (A download that was cut stays in the store as HEX.part, to be gone on with.)
bt_nothing_left() {
	bt_uid=$(id -u "$BT_USER")
	bt_sub=$(awk -F: -v u="$BT_USER" -v i="$bt_uid" '$1 == u || $1 == i { print $2, $2 + $3; exit }' /etc/subuid)
	bt_left=
	for bt_try in 1 2 3 4 5 6 7 8 9 10; do
		bt_left=$(ps -eo uid=,pid=,args= | awk -v u="$bt_uid" -v s="${bt_sub:-0 0}" '
			BEGIN { split(s, r, " ") }
			/<defunct>/ { next }	# ended; a container without an init keeps it
			$1 >= r[1] && $1 < r[2] || $1 == u && u != 0 && $0 ~ /pvimg|debootstrap|apt-get|dpkg/ &&
				$0 !~ /tests\// && $0 !~ /runuser/ { print }')
		[ -n "$bt_left" ] || break
		sleep 0.5
	done
	bt_is "no process is left (looked $bt_try times)" "$bt_left" ""
	bt_is "no mount is left" "$(grep -F "$BT_HOME" /proc/self/mounts | head -3)" ""
	bt_is "no temporary tree is left" "$(find "$BT_HOME/cache/pvimg/work" "$BT_HOME/cache/pvimg"/*/tmp -mindepth 1 \
		-maxdepth 1 ! -name "*.part" 2>/dev/null | head -3)" ""
}

bt_stand_in() { bt_json "$1" '"stand-in" if d["archive"] == "stand-in" else "real"'; }
bt_reported_digest() { bt_json "$1" "[a['sha256'] for a in d['artifacts'] if a['file'] == '$2'][0]"; }
bt_memory_ok() { bt_json "$1" '"yes" if 0 < d["self_max_rss_kib"] < 65536 else d["self_max_rss_kib"]'; }

# The digest of a disk as reports have it: over the digests of its chunks of 1 MiB.
bt_reported_disk() { bt_json "$1" "[a['chunks_sha256'] for a in d['artifacts'] if a['file'] == '$2'][0]"; }
bt_disk_digest() {
	python3 -c 'import hashlib, sys
total = hashlib.sha256()
with open(sys.argv[1], "rb") as f:
    for chunk in iter(lambda: f.read(1 << 20), b""):
        total.update(hashlib.sha256(chunk).digest())
print(total.hexdigest())' "$1"
}

# bt_build NAME OPTION...: as the ordinary user, into $BT_HOME/images; it must succeed.
bt_build() {
	bt_rc=0
	bt_as timeout 900 "$BT_PVIMG" build --no-verify "$@" --out "$BT_HOME/images" >"$TMP/build" 2>&1 || bt_rc=$?
	[ "$bt_rc" -eq 0 ] && return
	tail -30 "$TMP/build"
	mkdir -p out/test-logs
	cp "$BT_HOME/images/.failed/$1/build.log" "out/test-logs/${0##*/}-$1-build.log" 2>/dev/null || :
	bt_fail "pvimg build $*: exit $bt_rc"
}

bt_lint() {
	bt_as "$BT_PVIMG" lint "$1" >"$TMP/lint" 2>&1 || {
		cat "$TMP/lint"
		bt_fail "pvimg lint $1 is not green"
	}
}
