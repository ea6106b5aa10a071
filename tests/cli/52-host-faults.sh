#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Hosts that lack something: user namespaces, subordinate ids, space; and paths with spaces and quotes.
# time limit: 400
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
mi_begin
mirror="file://$BT_ARCHIVE/mini"
set -- --keyring "$MI_KEY" --mirror "$mirror"

# A namespace in which no further one may be made, with the user's own id inside.
MI_RC=0 mi_what="user namespaces forbidden" mi_rc=4 mi_pattern='user namespace' mi_t=$(date +%s)
# shellcheck disable=SC2016
bt_as unshare --user --map-auto --map-root-user sh -c '
	echo 0 >/proc/sys/user/max_user_namespaces
	# an ordinary user keeps its own id (root in here): others may be unable to read its home
	[ -z "$1" ] || { shift; exec "$@"; }
	shift
	exec setpriv --reuid 1000 --regid 1000 --clear-groups "$@"' - "$([ "$(id -u)" -eq 0 ] || echo own)" \
	env HOME=/tmp XDG_CACHE_HOME=/tmp/pvimg-test-forbidden "$BT_PVIMG" build --no-verify --recipes "$BT_HOME/recipes" \
	--out /tmp/pvimg-test-forbidden/out mini "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || MI_RC=$?
mi_judge
bt_as unshare --user --map-auto --map-root-user rm -rf /tmp/pvimg-test-forbidden

if [ "$(id -u)" -eq 0 ]; then
	range=$(sed -n "s/^$BT_USER:\([0-9]*\):\([0-9]*\)$/\1 \2/p" /etc/subuid)
	first=${range% *} last=$((${range% *} + ${range#* } - 1))
	usermod --del-subuids "$first-$last" --del-subgids "$first-$last" "$BT_USER"
	mi_refused "no subordinate ids" 4 'subuid|subordinate' mini "$@"
	mi_pvimg doctor
	bt_is "doctor says so too" "$MI_RC $(grep -Eic 'subuid|subordinate' "$TMP/out" | sed 's/^[1-9].*/yes/')" "4 yes"
	usermod --add-subuids "$first-$last" --add-subgids "$first-$last" "$BT_USER"

	# Small file systems, in a mount namespace of their own. $1: where, $2: size; then build's words.
	on_small() {
		mi_where=$1 mi_size=$2
		shift 2
		MI_RC=0 mi_t=$(date +%s)
		mkdir -p "$BT_HOME/$mi_where"
		# shellcheck disable=SC2016
		unshare -m sh -c 'where=$1 size=$2 user=$3; shift 3
			mount -t tmpfs -o "size=$size,mode=777" tmpfs "$where"
			rc=0
			runuser -u "$user" -- "$@" || rc=$?
			find "$where" -mindepth 1 ! -path "*/store/*" ! -path "*/.failed*" -type f ! -name "*.lock" >&3
			exit $rc' - "$BT_HOME/$mi_where" "$mi_size" "$BT_USER" \
			env -i PATH="$PATH" HOME="$BT_HOME" XDG_CACHE_HOME="$BT_HOME/cache" timeout 200 \
			"$BT_PVIMG" build --no-verify --recipes "$BT_HOME/recipes" "$@" >"$TMP/out" 2>"$TMP/err" 3>"$TMP/found" </dev/null || MI_RC=$?
		mi_judge
		bt_is "$mi_what: no file is left there" "$(grep -v freshness "$TMP/found" || :)" ""
	}
	mi_what="no room for the output" mi_rc=1 mi_pattern='space|MiB free|No space'
	on_small small-out 24m mini "$@" --out "$BT_HOME/small-out"
	mi_what="no room for the downloads" mi_rc=1 mi_pattern='space|MiB free|No space'
	on_small small-cache 8m mini "$@" --out "$MI_OUT" --cache "$BT_HOME/small-cache"
else
	bt_say "not root: a user without subordinate ids and full file systems were not tried"
fi

odd="$BT_HOME/it's a \"folder\" \$HOME; \`x\` %s"
bt_as mkdir -p "$odd"
bt_as cp -R "$BT_HOME/recipes" "$BT_HOME/overlays" "$odd/"
bt_as cp "$MI_KEY" "$odd/the key.gpg"
MI_RC=0
bt_as timeout 200 "$BT_PVIMG" build --no-verify mini --recipes "$odd/recipes" --out "$odd/out put" --cache "$odd/ca'che" \
	--mirror "$mirror" --keyring "$odd/the key.gpg" >"$TMP/out" 2>"$TMP/err" </dev/null || MI_RC=$?
bt_is "a path with spaces and quotes" "$MI_RC" 0
[ "$MI_RC" -eq 0 ] || tail -10 "$TMP/err"
[ "$MI_RC" -ne 0 ] || bt_result_complete "$odd/out put/mini" mini
bt_as "$BT_PVIMG" clean --all --cache "$odd/ca'che" --out "$odd/out put" >/dev/null 2>&1 || bt_is "pvimg clean in such a path" failed ok
mi_left
mi_verdict
