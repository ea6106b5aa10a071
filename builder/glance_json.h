/* SPDX-License-Identifier: Apache-2.0 */
/* OpenStack's image service, version 2, as text: what is sent, and what answers say. Answers are hostile.
 * Sources: openstack/glance api-ref/source/v2 (images-images-v2.inc, images-data.inc), glance/api/v2/images.py. */
#ifndef PV_GLANCE_JSON_H
#define PV_GLANCE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "machine.h"
#include "text.h"

#define PV_GLANCE_ANSWER_MAX ((size_t)8 << 20)	/* a hundred images of some KiB each */
#define PV_GLANCE_PAGE 100u

/* Our own properties of an image. */
#define PV_GLANCE_KEY_NAME "pvimg_name"		/* which image it is one of */
#define PV_GLANCE_KEY_SHA256 "pvimg_sha256"	/* of the raw disk */
#define PV_GLANCE_KEY_SERIAL "pvimg_serial"	/* newer ones have larger ones: no clock is asked */
#define PV_GLANCE_KEY_VERSION "pvimg_version"

struct pv_glance_image {
	char *id;				/* of [0-9A-Za-z-] */
	char *name, *status, *disk_format, *container_format;	/* "" where it is not said */
	char *owner;				/* a project's id, "" */
	char *of, *sha256;			/* our properties, "" */
	char *hash_algo, *hash_value, *checksum;	/* "" in old versions; checksum: MD5 */
	uint64_t serial, size;			/* 0: not said */
	int64_t updated;			/* of the service's clock, seconds since 1970; 0: not said */
	bool hidden;
};
void pv_glance_image_done(struct pv_glance_image *image);
#define pv_autoglanceimage __attribute__((cleanup(pv_glance_image_done))) struct pv_glance_image

struct pv_glance_images {
	struct pv_glance_image *v;
	size_t n;
};
void pv_glance_images_done(struct pv_glance_images *images);
#define pv_autoglanceimages __attribute__((cleanup(pv_glance_images_done))) struct pv_glance_images

/* One image's record. `what` names the service in errors. PV_ERR_ARCHIVE. */
int pv_glance_read_image(const char *text, size_t len, const char *what, struct pv_glance_image *ret,
			 struct pv_error *err) PV_MUST_CHECK;
/* A page of a list: adds its images. ret_more: there is another page, after the last one's id. */
int pv_glance_read_page(const char *text, size_t len, const char *what, struct pv_glance_images *ret, bool *ret_more,
			struct pv_error *err) PV_MUST_CHECK;
/* Newest first: by serial, then by id, so that everybody sees the same order. */
void pv_glance_sort(struct pv_glance_images *images);

struct pv_glance_new {				/* borrowed */
	const char *id, *name;			/* name: until it is whole */
	const char *disk_format, *container_format, *visibility;
	const char *sha256;
	const struct pv_machine *machine;
	uint64_t disk_size;
};
/* The body of POST /v2/images: what NAME.glance.json says too, and our properties. The caller frees. */
char *pv_glance_new(const struct pv_glance_new *image);
/* The body of PATCH that gives an image its name and its place among the others. The caller frees. */
char *pv_glance_patch_name(const char *name, uint64_t serial);
/* The body of PATCH that hides an image from lists. The caller frees. */
char *pv_glance_patch_hidden(void);

/* "https://HOST/PATH/v2" of an address or of a catalog's endpoint, with a version or without. PV_ERR_ARCHIVE where it is no
 * address of http or https. The caller frees. */
int pv_glance_base(const char *url, char **ret, struct pv_error *err) PV_MUST_CHECK;

/* Why a service answers so, and what to do: for errors. */
const char *pv_glance_why(long status);

#endif
