/* SPDX-License-Identifier: Apache-2.0 */
/* A small raw image for tests: GPT, ESP, ext4 from a folder. */
#ifndef PV_TEST_IMAGE_HELP_H
#define PV_TEST_IMAGE_HELP_H

#include <stdint.h>

#define IMAGE_MIB 160u
#define IMAGE_ROOT_UUID "e763db4c-880f-8ece-a818-19bddbac3360"
#define IMAGE_ESP_ID "99D0-4AFD"

/* Makes a scratch folder and enters it; *state is its name. And back, with all below it gone. For cmocka. */
int image_enter(void **state);
int image_leave(void **state);

/* Writes a text file below the current folder, its folders too. */
void image_file(const char *path, const char *text);

/* "disk.raw" in the current folder, its root from the folder `tree`. */
void image_make(const char *path, const char *tree);

/* Bytes at an offset of a file: read, written. */
void image_peek(const char *path, uint64_t offset, void *data, unsigned len);
void image_poke(const char *path, uint64_t offset, const void *data, unsigned len);

/* Do mke2fs and mkfs.vfat and mtools exist? */
int image_tools(void);

#endif
