#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Archives and servers that misbehave: each time a one-line cause, the right exit status, nothing left behind; and the
# next build works.
# time limit: 500
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
mi_begin_bent
set -- --keyring "$MI_KEY"

mi_refused "unknown recipe" 3 'mimi.*mini' mimi "$@" --mirror "$(mi_url ok/mini)"
mi_recipe absent no-such-package
mi_refused "package that does not exist" 3 'no-such-package' absent "$@" --mirror "$(mi_url ok/mini)"

mi_refused "nobody listens" 6 '127\.0\.0\.1:1/' mini "$@" --mirror http://127.0.0.1:1/ubuntu
mi_refused "404" 6 '404' mini "$@" --mirror "$(mi_url ok/nowhere)"
mi_refused "503" 6 '503' mini "$@" --mirror "$(mi_url down/mini)"
mi_refused "slow" 6 'slow|KiB/s|bytes/s|nothing|stall' mini "$@" --mirror "$(mi_url slow/mini)"
mi_refused "other bytes on the way" 6 'signature|signed' mini "$@" --mirror "$(mi_url wrong/mini)"

# Nobody names a mirror and none can be reached (no name is even looked up: the proxy refuses): both ways out.
usual=$MI_ENV
MI_ENV="$usual http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1"
mi_refused "no archive of the distribution" 4 '--mirror URL.*make image RECIPE=debian-2g$' mini --keyring "$MI_KEY"
bt_is "and says so in one line" "$(grep -c '^pvimg: ' "$TMP/err")" 1
MI_ENV=$usual

mi_copy unsigned
for d in "$MI_WWW"/unsigned/dists/*; do
	cp --remove-destination "$d/Release" "$d/InRelease"
	rm -f "$d/Release.gpg"
done
mi_refused "InRelease unsigned" 6 'sign' mini "$@" --mirror "$(mi_url ok/unsigned)"

mi_copy expired
mi_resign expired 's/^Date:.*/Date: Mon, 01 Jan 2024 00:00:00 UTC/; /^Date:/a Valid-Until: Mon, 08 Jan 2024 00:00:00 UTC'
mi_refused "InRelease expired" 6 'expired|valid' mini "$@" --mirror "$(mi_url ok/expired)"

mi_copy stranger
mi_resign stranger '' "$BT_ARCHIVE/other.secret"
mi_refused "InRelease signed by another key" 6 'key|signature' mini "$@" --mirror "$(mi_url ok/stranger)"

mi_copy posing
mi_resign posing 's/^Codename:.*/Codename: jammy/'
mi_refused "another suite's Release" 6 'jammy' mini "$@" --mirror "$(mi_url ok/posing)"

mi_copy index
for f in "$MI_WWW"/index/dists/noble/main/binary-amd64/Packages.*; do
	cp --remove-destination "$f" "$f.new"
	printf x | dd of="$f.new" bs=1 seek=100 conv=notrunc status=none
	mv "$f.new" "$f"
done
rm -rf "$MI_WWW"/index/dists/noble/main/binary-amd64/by-hash
mi_refused "index is not the signed one" 6 'Packages|digest|sha256' mini "$@" --mirror "$(mi_url ok/index)" \
	--cache "$BT_HOME/cache/other"	# the usual one has the right index already

mi_recipe otherbytes test-other-bytes
mi_refused ".deb with another digest" 6 'test-other-bytes' otherbytes "$@" --mirror "$(mi_url ok/mini)"
mi_refused ".deb with another digest, file:" 6 'test-other-bytes' otherbytes "$@" --mirror "file://$BT_ARCHIVE/mini"
mi_copy_pool gone
find "$MI_WWW/gone/pool" -name 'test-fails_*' -delete
mi_recipe gone test-fails
mi_refused ".deb is not there" 6 'test-fails.*(404|not found)|404.*test-fails' gone "$@" --mirror "$(mi_url ok/gone)"
mi_recipe short test-short
mi_refused ".deb cut short" 6 'test-short' short "$@" --mirror "$(mi_url ok/mini)"
mi_store_whole

# What was seen may not go back in time, unless asked to.
mi_copy older
mi_resign older 's/^Date:.*/Date: Mon, 01 Jan 2024 00:00:00 UTC/'
mi_refused "older than what was seen" 6 'older' mini "$@" --mirror "$(mi_url ok/older)"
mi_pvimg plan mini "$@" --mirror "$(mi_url ok/older)" --allow-older
bt_is "--allow-older takes it" "$MI_RC" 0

# Every answer breaks off after 100 kB: each try goes on where the last one ended.
mi_works "the next build, with downloads that are cut" --mirror "$(mi_url always-cut/mini)"
mi_store_whole
mi_verdict
