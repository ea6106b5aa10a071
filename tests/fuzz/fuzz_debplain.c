/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a .deb to decompress: no crash; a refused one leaves no file, a taken one is what is said of it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "debplain.h"
#include "fsutil.h"

#define MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/pvimg-fuzz-XXXXXX", hex[PV_SHA256_HEX], again[PV_SHA256_HEX];
	pv_autoerror err = PV_ERROR_INIT;
	uint64_t out_size, again_size;

	if (!mkdtemp(dir))
		abort();
	pv_autofree char *from = pv_path_join(dir, "in.deb");
	pv_autofree char *to = pv_path_join(dir, "out.deb");
	if (pv_write_file(from, size ? (const void *)data : "", size, 0600, &err) < 0)
		abort();
	if (pv_debplain_write(from, to, MAX, hex, &out_size, &err) < 0) {
		if (pv_exists(to) || !err.text)
			abort();
	} else if (out_size > MAX || pv_digest_file(to, again, &again_size, &err) < 0 ||
		   strcmp(hex, again) != 0 || out_size != again_size) {
		abort();
	}
	unlink(to);
	unlink(from);
	rmdir(dir);
	return 0;
}
