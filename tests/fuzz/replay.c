/* SPDX-License-Identifier: Apache-2.0 */
/* Plays a fuzzer's corpus back without libFuzzer: each file, cut short, and with a few bytes changed, always alike. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "text.h"

#define LARGEST (4u << 20)
#define CUTS 24
#define CHANGES 150

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly that size, so that the address sanitizer sees every read past the end. */
static void play(const char *data, size_t size)
{
	char *copy = calloc(1, size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)copy, size);
	free(copy);
}

static uint32_t next_random(uint32_t *seed)
{
	/* xorshift32 */
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void play_variants(char *data, size_t size)
{
	uint32_t seed = 2463534242u;
	size_t changes = size > 65536 ? CHANGES / 10 : CHANGES;

	play(data, size);
	if (size == 0)
		return;
	for (size_t i = 0; i < CUTS; i++)
		play(data, size * i / CUTS);
	for (size_t i = 0; i < changes; i++) {
		size_t at = next_random(&seed) % size;
		char was = data[at];

		if (i % 2)
			data[at] = (char)next_random(&seed);
		else
			data[at] ^= (char)(1u << (next_random(&seed) % 8));
		play(data, size);
		/* every second change stays: they add up */
		if (i % 4 == 0)
			data[at] = was;
	}
}

static int play_folder(const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort), played = 0;

	if (n < 0) {
		fprintf(stderr, "%s: cannot read\n", folder);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		pv_autofree char *path = pv_path_join(folder, names[i]->d_name), *data = NULL;
		size_t size;

		free(names[i]);
		if (pv_read_file(path, LARGEST, &data, &size, NULL) < 0)
			continue;
		play_variants(data, size);
		played++;
	}
	free(names);
	printf("%s: %d files\n", folder, played);
	return played == 0;
}

int main(int argc, char **argv)
{
	int rc = 0;

	play("", 0);
	for (int i = 1; i < argc; i++)
		rc |= play_folder(argv[i]);
	return rc;
}
