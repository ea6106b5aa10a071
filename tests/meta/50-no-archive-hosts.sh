#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No archive's or mirror's host name stands in the project: where packages come from is the host's affair.
set -u
. tests/meta/lib.sh

# Put together here, so that this file holds none either.
dot='\.'
debian="debian${dot}org" ubuntu="ubuntu${dot}com" dnet="debian${dot}net"
pattern="(deb|ftp|ftp[a-z0-9.-]*|security|snapshot|archive|cdn[a-z0-9-]*|httpredir|incoming|mirrors?|packages|people)${dot}($debian|$dnet)"
pattern="$pattern|([a-z.]*archive|security|ports|snapshot|old-releases|esm|cdimage|changelogs|ddebs|mirrors?)${dot}$ubuntu"
pattern="$pattern|mirrors?${dot}[a-z0-9-]+${dot}[a-z]+|ppa${dot}launchpad|launchpadcontent${dot}net"
pattern="$pattern|xenbits${dot}|freexian${dot}com"

# hosts that no one can have (RFC 2606) are for tests
project_files | tr '\n' '\0' | xargs -0 grep -InHEi "$pattern" | cut -c1-200 |
	grep -vE 'mirrors?\.(example|invalid|test)\b' >"$TMP/hits"
while IFS= read -r line; do
	fault "$line"
done <"$TMP/hits"
verdict
