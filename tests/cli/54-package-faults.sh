#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Packages that fail to install, children that are killed, trees that do not fit.
# time limit: 500
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
mi_begin
set -- --keyring "$MI_KEY" --mirror "file://$BT_ARCHIVE/mini"

mi_recipe toobig test-claims-much
mi_refused "disk too small, told before anything is written" 3 'disk.*(GiB|MiB)' toobig "$@"
bt_is "and no package was downloaded for it" "$(find "$BT_HOME/cache/pvimg/store/sha256" -type f -exec head -qc 7 {} + 2>/dev/null |
	grep -ac 'arch>')" 0

mi_recipe liar test-claims-little
mi_refused "the tree is larger than its packages said: told before writing, with the size needed" 3 \
	'liar: image: flavor\.disk is too small for the tree: give at least 1[0-9]{3}MiB' liar "$@"
bt_is "what was said is enough" "$(mi_pvimg plan liar "$@" --set "flavor.disk=$(sed -n 's/.*give at least \([0-9]*MiB\).*/\1/p' \
	"$TMP/err")"; echo "$MI_RC")" 0

mi_recipe fails test-fails
mi_refused "maintainer script fails, its last lines are shown" 1 'frobnicator is broken' fails "$@"
bt_is "the failed build's log stays" "$(grep -c 'frobnicator is broken' "$MI_OUT/.failed/fails/build.log" | sed 's/^[1-9].*/yes/')" yes

mi_recipe killed test-is-killed
mi_refused "dpkg is killed inside" 1 'dpkg.*(killed|signal|error|unexpected)' killed "$@"

mi_recipe filler test-fills-disk
mi_refused "the work file system is full" 1 'space|full' filler "$@"

# pvimg's own child, from outside.
mi_recipe sleeps test-sleeps
mi_what="a child is killed" mi_rc=1 mi_pattern='killed|signal 9' mi_t=$(date +%s) MI_RC=0
bt_as timeout 200 "$BT_PVIMG" build --no-verify --recipes "$BT_HOME/recipes" --out "$MI_OUT" sleeps "$@" >"$TMP/out" 2>"$TMP/err" </dev/null &
job=$!
uid=$(id -u "$BT_USER")
sub=$(awk -F: -v u="$BT_USER" '$1 == u { print $2, $2 + $3; exit }' /etc/subuid)
n=0 victim=
while [ -z "$victim" ] && [ "$n" -lt 600 ] && kill -0 "$job" 2>/dev/null; do
	n=$((n + 1))
	# `sleep 60` of the test's package, then the apt-get above it.
	if ps -eo uid=,args= | awk -v s="$sub" '{ split(s, r, " ") } $1 >= r[1] && $1 < r[2] && $2 == "sleep" { f = 1 } END { exit !f }'; then
		victim=$(ps -eo pid=,uid=,comm= | awk -v s="$sub" -v u="$uid" '{ split(s, r, " ") }
			($2 >= r[1] && $2 < r[2] || $2 == u && u != 0) && $3 == "apt-get" { print $1; exit }')
	fi
	sleep 0.2
done
[ -z "$victim" ] || kill -KILL "$victim"
wait "$job" || MI_RC=$?
bt_is "$mi_what: apt-get was found" "${victim:+yes}" yes
mi_judge

mi_works "the next build" --mirror "file://$BT_ARCHIVE/mini"
mi_verdict
