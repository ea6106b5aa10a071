#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A report as the program's own code writes it.
set -eu
PV_TEST_REPORT="$TMP/report.json" out/obj/unit/test_report >"$TMP/log" 2>&1 || { cat "$TMP/log"; exit 1; }
tests/schema/validate --self-test "$TMP/report.json"
