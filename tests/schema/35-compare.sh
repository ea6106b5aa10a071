#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A comparison as the program's own code writes it.
set -eu
PV_TEST_COMPARE="$TMP/compare.json" out/obj/unit/test_compare >"$TMP/log" 2>&1 || { cat "$TMP/log"; exit 1; }
tests/schema/validate --self-test "$TMP/compare.json"
