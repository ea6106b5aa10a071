#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The very file that 10-debian-build.sh made boots in plain QEMU by BIOS and by UEFI, to a login where Apache answers
# HTTP and memcached answers set and get; and not one byte of it changes.
# time limit: 900
set -eu
# shellcheck source=tests/boot/guest.sh
. tests/boot/guest.sh
bt_need qemu-system-x86_64 qemu-img mformat mcopy ssh ssh-keygen curl bash shuf python3
image=${BT_IMAGE:-out/test-images/debian-2g/debian-2g.raw}
[ -f "$image" ] || sh tests/boot/10-debian-build.sh
trap 'bt_halt' EXIT
trap 'exit 1' INT TERM

before=$(sha256sum "$image" | cut -d' ' -f1)
if [ -f "${image%/*}/sha256" ]; then
	bt_is "the image is the one that was built" "$before" "$(cat "${image%/*}/sha256")"
fi
bt_verify bios ide "$image" "${BT_LIMIT:-240}"
bt_verify uefi virtio "$image" "${BT_LIMIT:-240}"
bt_is "the two guests are two machines" \
	"$([ "$(bt_fact "$TMP/facts-bios" machine_id)" != "$(bt_fact "$TMP/facts-uefi" machine_id)" ] && echo yes)" yes
bt_is "the image is the same file after both boots" "$(sha256sum "$image" | cut -d' ' -f1)" "$before"
[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"
