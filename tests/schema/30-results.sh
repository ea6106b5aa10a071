#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whatever images were built into out/images and by the tests: their manifest, report and verdict.
set -eu
set --
for file in out/images/*/*.json out/images/.failed/*/*.json out/test-images/*/*.json; do
	[ ! -f "$file" ] || set -- "$@" "$file"
done
[ "$#" -gt 0 ] || { echo 'skipped: no image in out/images or out/test-images'; exit 77; }
tests/schema/validate "$@"
