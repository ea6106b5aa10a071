#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every license that pvimg writes into a bill of materials is one of SPDX's list, as Debian packages it.
set -eu
list=/usr/share/nodejs/spdx-license-ids/index.json
[ -f "$list" ] || { echo 'skipped: node-spdx-license-ids is missing'; exit 77; }
python3 - "$list" <<'PY'
import json, re, sys
known = set(json.load(open(sys.argv[1])))
rows = re.findall(r'\{ "[^"]+", "([^"]+)", (true|false) \}', open("builder/spdx.c").read())
ids = [name + end for name, versions in rows for end in (("-only", "-or-later") if versions == "true" else ("",))]
unknown = [i for i in ids if i not in known]
sys.exit(f"not in SPDX's list: {unknown}" if unknown or len(ids) < 60 else 0)
PY
