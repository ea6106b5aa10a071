#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whatever images were built into out/images: their manifest and report.
set -eu
set --
for file in out/images/*/manifest.json out/images/*/report.json out/images/.failed/*/report.json; do
	[ ! -f "$file" ] || set -- "$@" "$file"
done
[ "$#" -gt 0 ] || { echo 'skipped: no image in out/images'; exit 77; }
tests/schema/validate "$@"
