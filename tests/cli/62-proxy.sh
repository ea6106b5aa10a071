#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds through an HTTP proxy: everything goes through it, also names that only the proxy knows; with and without a
# password, which is in no message, log or result.
# time limit: 400
set -eu
# shellcheck source=tests/archive/mini.sh
. tests/archive/mini.sh
BT_QUIET=1
mi_begin
bt_need curl
# This name has no address here; the proxy answers for it.
set -- --keyring "$MI_KEY" --mirror http://archive.example.invalid/ok/mini

# look: from here on. asked SED: the different words that SED makes of the requests since then.
look() { seen=$(curl -sf "$(mi_url log)" | wc -l); }
asked() { curl -sf "$(mi_url log)" | tail -n "+$((seen + 1))" | sed "$1" | sort -u | paste -sd' '; }

look
mi_refused "without the proxy the name is unknown" 6 'archive\.example\.invalid' mini "$@"
bt_is "and nobody was asked" "$(asked 's/.*/asked/')" ""

MI_ENV="http_proxy=http://127.0.0.1:$MI_PORT"
mi_works "by a proxy" "$@"
bt_is "all went through it" "$(asked 's/.* proxy/proxy/; t; s/.*/direct/')" proxy
bt_is "packages too" "$(asked '/\.deb/!d; s/.*/deb/')" deb

# A cache of its own, so that everything is asked for again.
look
MI_ENV="http_proxy=http://us%20er:p%40ss%3AS3CRET@127.0.0.1:$MI_PORT"
mi_build mini "$@" --cache "$BT_HOME/cache/second" --verbose
bt_is "a proxy with a password: exit status" "$MI_RC" 0
bt_is "all came with it" "$(asked 's/.* proxy/proxy/; t; s/.*/direct/')" proxy+auth
bt_is "the password is nowhere" "$(grep -rlE 'S3CRET|p%40ss|p@ss' "$TMP/out" "$TMP/err" "$MI_OUT" "$BT_HOME/cache/second" | head -3)" ""

MI_ENV="http_proxy=http://us%20er:p%40ss%3AS3CRET@127.0.0.1:1"
mi_refused "a proxy that does not answer" 6 '127\.0\.0\.1|proxy|connect' mini "$@" --cache "$BT_HOME/cache/third"
bt_is "and its password is not told" "$(grep -cE 'S3CRET|p%40ss' "$TMP/err" "$MI_OUT/.failed/mini/"* | grep -v ':0$')" ""

# Not by the proxy what no_proxy names.
look
MI_ENV="http_proxy=http://127.0.0.1:1 no_proxy=127.0.0.1"
mi_works "no_proxy"
bt_is "it was asked directly" "$(asked 's/.* proxy/proxy/; t; s/.*/direct/')" direct
mi_verdict
