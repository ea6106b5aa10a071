#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every kind of JSON that pvimg writes has a schema and a sample; the schemas see what is missing, unknown or wrong.
set -eu
for kind in $(grep -ohE '"pvimg\.[a-z]+/[0-9]+"' builder/*.c | tr -d '"' | sort -u); do
	name=${kind#pvimg.}
	[ -f "tests/schema/${name%/*}-${name#*/}.json" ] || { echo "$kind: no schema in tests/schema"; exit 1; }
	[ "$name" = report/1 ] || [ -f "tests/schema/samples/${name%/*}.json" ] || { echo "$kind: no sample"; exit 1; }
done
tests/schema/validate --self-test tests/schema/samples/*.json
