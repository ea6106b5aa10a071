#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SIGKILL at random points of builds that use the cache, up to 200 times: the next build always makes the right disk.
# time limit: 900
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1 MI_KEEP=yes
mi_begin
stages=$BT_HOME/cache/pvimg/stages
kills=${PVIMG_KILLS:-200}
seconds=${PVIMG_KILL_SECONDS:-60}	# a slow machine does fewer in that time, but never fewer than this:
least=20

mkdir -p "$BT_HOME/overlays/x/etc"
conf=$BT_HOME/overlays/x/etc/x.conf
mi_recipe mini
echo 'overlays: [x]' >>"$BT_HOME/recipes/mini.yaml"
set -- --recipes "$BT_HOME/recipes" --out "$MI_OUT" mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
sum() { sha256sum <"$MI_OUT/mini/mini.raw" | cut -d' ' -f1; }

# The right disks, each from a build without trees and results.
for c in a b; do
	echo "$c" >"$conf"
	chmod 0644 "$conf"
	rm -rf "$stages" "$MI_OUT/mini"
	mi_build mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
	bt_is "the build of $c: exit status" "$MI_RC" 0
	sum >"$TMP/right.$c"
done
bt_is "the two disks differ" "$(cmp -s "$TMP/right.a" "$TMP/right.b" && echo no)" ""

# A number below $1, from the kernel.
random() { echo $(($(od -An -N2 -tu2 /dev/urandom) % $1)); }

done=0 began=$(date +%s) c=b longest=3000
while [ "$done" -lt "$kills" ] &&
	{ [ "$done" -lt "$least" ] || [ $(($(date +%s) - began)) -lt "$seconds" ]; }; do
	case $c in a) c=b ;; *) c=a ;; esac
	echo "$c" >"$conf"
	case $((done % 10)) in
	3 | 6) rm -rf "$MI_OUT/mini" ;;		# from the trees
	9) rm -rf "$MI_OUT/mini" "$stages/configure" ;;
	esac
	rm -f "$BT_HOME/pid"
	# shellcheck disable=SC2016
	bt_as sh -c 'echo $$ >"$1"; shift; exec "$@"' - "$BT_HOME/pid" "$BT_PVIMG" build --no-verify "$@" \
		>/dev/null 2>&1 </dev/null &
	job=$!
	ms=$(random "$longest")
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
	[ ! -s "$BT_HOME/pid" ] || kill -KILL "$(cat "$BT_HOME/pid")" 2>/dev/null || :
	wait "$job" || :
	# what stood there before is there still, whole, or the new one is
	if [ -e "$MI_OUT/mini/mini.raw" ]; then
		is=$(sum)
		case $is in
		"$(cat "$TMP/right.a")" | "$(cat "$TMP/right.b")") ;;
		*) bt_is "kill $done after $ms ms: the disk in place" "$is" "one of the two" ;;
		esac
	fi
	t=$(date +%s%3N)
	mi_build mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
	longest=$(((longest + 2 * ($(date +%s%3N) - t) + 200) / 2))
	bt_is "kill $done after $ms ms: exit status of the next build" "$MI_RC" 0
	[ "$MI_RC" -eq 0 ] || tail -5 "$TMP/err"
	bt_is "kill $done after $ms ms: the disk" "$(sum)" "$(cat "$TMP/right.$c")"
	[ "$BT_BAD" -lt 5 ] || break
	done=$((done + 1))
done
bt_say "   killed $done times in $(($(date +%s) - began)) s"
bt_is "enough kills" "$([ "$done" -ge "$least" ] && echo yes)" yes
mi_store_whole
# The children of what was killed last may still have been dying when the next build looked for leftovers; they are not now.
mi_build mini --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"
mi_left
mi_verdict
