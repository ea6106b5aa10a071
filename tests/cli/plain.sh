# SPDX-License-Identifier: Apache-2.0
# Shared by the tests here that build nothing: the words that end them, and a cache of their own.
# shellcheck shell=sh
XDG_CACHE_HOME=$TMP/cache
export XDG_CACHE_HOME
unset SOURCE_DATE_EPOCH

fail() {
	echo "$*"
	exit 1
}
