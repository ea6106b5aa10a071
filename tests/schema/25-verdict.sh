#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A verdict as the program's own code writes it.
set -eu
PV_TEST_VERDICT="$TMP/verdict.json" out/obj/unit/test_verdict >"$TMP/log" 2>&1 || { cat "$TMP/log"; exit 1; }
tests/schema/validate --self-test "$TMP/verdict.json"
