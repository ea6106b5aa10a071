# SPDX-License-Identifier: Apache-2.0
# Shared by tests/cli/5*: builds of tiny images (the mini archive) as an ordinary user, from a server that misbehaves,
# and what must be true after each of them.
# shellcheck shell=sh
# shellcheck source=tests/boot/common.sh
. tests/boot/common.sh
# shellcheck source=tests/archive/lib.sh
. tests/archive/lib.sh

# mi_begin: user, archives, the server (its folder is $MI_WWW, its port $MI_PORT) and a recipe `mini`.
mi_begin() {
	bt_need python3 debootstrap gpg apt-ftparchive
	trap mi_end EXIT
	trap 'exit 1' INT TERM
	bt_user_begin
	bt_local_archives
	MI_WWW=$BT_HOME/www MI_OUT=$BT_HOME/out MI_KEY=$BT_ARCHIVE/test.gpg
	mkdir -p "$MI_WWW" "$BT_HOME/recipes" "$BT_HOME/overlays"
	ln -s "$BT_ARCHIVE/mini" "$MI_WWW/mini"
	mi_recipe mini
	mkfifo "$TMP/hold"
	python3 tests/httpd/httpd.py "$MI_WWW" "$TMP/port" <"$TMP/hold" >/dev/null 2>"$TMP/httpd.log" &
	MI_HTTPD=$!
	exec 8>"$TMP/hold"
	for mi_i in 1 2 3 4 5 6 7 8 9 10; do
		[ ! -s "$TMP/port" ] || break
		sleep 0.3
	done
	MI_PORT=$(cat "$TMP/port") || bt_fail "the test's server does not start (looked $mi_i times): $(cat "$TMP/httpd.log")"
}

# mi_begin_bent: the same for tests of archives and servers that misbehave, which are given up soon.
mi_begin_bent() {
	BT_QUIET=1
	mi_begin
	MI_ENV="PVIMG_FETCH_SLOW_SECONDS=2 PVIMG_FETCH_PAUSE_MS=20"
}

mi_end() {
	exec 8>&-
	if [ -n "${MI_HTTPD-}" ]; then
		kill "$MI_HTTPD" 2>/dev/null || :
		wait "$MI_HTTPD" 2>/dev/null || :
	fi
	bt_user_end
}

# mi_recipe NAME [PACKAGE...]
mi_recipe() {
	mi_name=$1
	shift
	cat >"$BT_HOME/recipes/$mi_name.yaml" <<-EOF
	distribution: ubuntu
	suite: noble
	image-mirror: http://archive.example.invalid/ubuntu
	components: [main]
	packages: [$(printf '%s, ' base-files "$@" | sed 's/, $//')]
	flavor:
	  memory: 1GiB
	  vcpus: 1
	  disk: 1GiB
	EOF
	[ "$(id -u)" -ne 0 ] || chown -R "$BT_USER:" "$BT_HOME/recipes" "$BT_HOME/overlays"
}

# mi_copy NAME: a copy of the mini archive that may be bent, served as NAME.
mi_copy() {
	mkdir -p "$MI_WWW/$1"
	cp -R "$BT_ARCHIVE/mini/dists" "$MI_WWW/$1/"
	ln -s "$BT_ARCHIVE/mini/pool" "$MI_WWW/$1/pool"
}

# mi_copy_pool NAME: the same with a pool of its own, by links where that is possible: nothing in it may be written over.
mi_copy_pool() {
	mi_copy "$1"
	rm "$MI_WWW/$1/pool"
	cp -Rl "$BT_ARCHIVE/mini/pool" "$MI_WWW/$1/" 2>/dev/null || cp -R "$BT_ARCHIVE/mini/pool" "$MI_WWW/$1/"
}

# mi_resign NAME [SED]: every Release of that copy, edited, signed anew; hard links are broken first.
mi_resign() {
	for mi_d in "$MI_WWW/$1"/dists/*; do
		[ -z "${2-}" ] || sed -i "$2" "$mi_d/Release"
		rm -f "$mi_d/InRelease" "$mi_d/Release.gpg"
	done
	ta_sign "${3:-$BT_ARCHIVE/test.secret}" "$MI_WWW/$1"/dists/*
}

# Every stage runs again, unless the test is about what builds keep.
mi_forget() { [ -n "${MI_KEEP-}" ] || rm -rf "$BT_HOME/cache/pvimg/stages"; }

# mi_pvimg COMMAND ARGUMENT...: exit status in MI_RC, output in $TMP/out and $TMP/err.
mi_pvimg() {
	mi_command=$1
	shift
	MI_RC=0
	[ "$mi_command" != build ] || mi_forget
	case $mi_command in build | plan | lock | reproduce) set -- --recipes "$BT_HOME/recipes" "$@" ;; esac
	# shellcheck disable=SC2086 # words of an environment
	bt_as env ${MI_ENV-} timeout "${MI_LIMIT:-200}" "$BT_PVIMG" "$mi_command" "$@" \
		>"$TMP/out" 2>"$TMP/err" </dev/null || MI_RC=$?
}
mi_build() { mi_pvimg build --no-verify --out "$MI_OUT" "$@"; }
mi_url() { printf 'http://127.0.0.1:%s/%s' "$MI_PORT" "$1"; }

# mi_refused WHAT STATUS PATTERN RECIPE OPTION...: the build fails with that status and a line of stderr that says why,
# and leaves nothing.
mi_refused() {
	mi_what=$1 mi_rc=$2 mi_pattern=$3
	shift 3
	mi_t=$(date +%s)
	mi_build "$@"
	mi_judge
}
mi_judge() {
	mi_bad=$BT_BAD
	bt_is "$mi_what: exit status" "$MI_RC" "$mi_rc"
	bt_is "$mi_what: says why" "$(grep -Eic -- "$mi_pattern" "$TMP/err" | sed 's/^[1-9].*/yes/')" yes
	bt_is "$mi_what: no message of a crash" "$(grep -E 'Sanitizer|runtime error|Aborted|Assertion|core dumped' "$TMP/err")" ""
	mi_left
	bt_say "   $(grep -Ei -- "$mi_pattern" "$TMP/err" | head -1 | cut -c1-200) ($(($(date +%s) - mi_t)) s)"
	[ "$BT_BAD" -eq "$mi_bad" ] || tail -15 "$TMP/err"
}
mi_left() {
	bt_nothing_half "$MI_OUT"
	bt_nothing_left
}

# mi_works WHAT [OPTION...]: `mini` builds, from a good mirror unless the options say another.
mi_works() {
	mi_what=$1
	shift
	[ $# -gt 0 ] || set -- --mirror "$(mi_url ok/mini)"
	mi_t=$(date +%s)
	mi_build mini --keyring "$MI_KEY" "$@"
	bt_is "$mi_what: exit status" "$MI_RC" 0
	[ "$MI_RC" -eq 0 ] || tail -15 "$TMP/err"
	[ "$MI_RC" -ne 0 ] || bt_result_complete "$MI_OUT/mini" mini
	mi_left
	bt_say "   built in $(($(date +%s) - mi_t)) s"
	rm -rf "$MI_OUT/mini"
}

# Every object in the store is what its name says.
mi_store_whole() {
	bt_is "the store holds only what its names say" "$(find "$BT_HOME/cache/pvimg/store/sha256" -type f -exec sha256sum {} + |
		awk '{ n = split($2, p, "/"); if (p[n] != $1) print p[n] }' | head -3)" ""
}

mi_verdict() { [ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"; }
