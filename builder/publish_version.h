/* SPDX-License-Identifier: Apache-2.0 */
/* What is put into an image mirror, wherever the mirror is: an image's files as one version, and the lists that name it. */
#ifndef PV_PUBLISH_VERSION_H
#define PV_PUBLISH_VERSION_H

#include <jansson.h>
#include <sys/stat.h>

#include "publish.h"
#include "streams.h"
#include "text.h"

#define PV_VERSION_KEEP 3u	/* a reader that has just read the list still finds the files of the version before */

struct pv_version {
	const struct pv_publish *what;		/* borrowed */
	const char *const *formats;
	size_t nformats;
	char *product;
	struct pv_strv ftypes;			/* of the formats */
	struct stat st;				/* of the image, when it was read */
	char sha256[PV_SHA256_HEX];
	struct pv_streams_item *items;
	struct pv_strv files;			/* the items' own files, in their order */
};
void pv_version_done(struct pv_version *v);
#define pv_autoversion __attribute__((cleanup(pv_version_done))) struct pv_version

/* For plan(): the name can be part of a URL, and gpg is there where it is wanted. PV_ERR_USAGE, PV_ERR_HOST. */
int pv_version_plan(const struct pv_publish *what, struct pv_error *err) PV_MUST_CHECK;

/* Hashes the image; it is what was verified. PV_ERR_STAGE. ret is done by the caller, whatever comes of it. */
int pv_version_read(const struct pv_publish *what, struct pv_version *ret, struct pv_error *err) PV_MUST_CHECK;

/* Makes its files in dir: the formats, the side files, manifest.json and verdict.json where there are. The image is as it
 * was when it was read. Items have no paths yet. */
int pv_version_fill(struct pv_version *v, const char *dir, struct pv_error *err) PV_MUST_CHECK;
/* The items' paths: images/NAME/VERSION/FILE; by_digest: images/NAME/VERSION/DIGEST/FILE, so that a path has one content. */
void pv_version_set_paths(struct pv_version *v, const char *version, bool by_digest);
uint64_t pv_version_size(const struct pv_version *v);

/* Text of the lists; the signed ones are NULL without a key. */
struct pv_version_texts {
	char *list, *index, *signed_list, *signed_index;
};
void pv_version_texts_done(struct pv_version_texts *t);
#define pv_autotexts __attribute__((cleanup(pv_version_texts_done))) struct pv_version_texts

/* Adds the version to list and index, drops what is older than the last ones (names to ret_dropped), signs. */
int pv_version_texts(const struct pv_version *v, const char *version, json_t *list, json_t *index,
		     struct pv_strv *ret_dropped, struct pv_version_texts *ret, struct pv_error *err) PV_MUST_CHECK;

/* Writes them in the order in which a reader may meet them: lists before indexes, of each pair the plain one, which the
 * next run goes by, last. put: of one file, by its path in the mirror. */
int pv_version_put_texts(const struct pv_version_texts *t,
			 int (*put)(void *ctx, const char *path, const char *text, struct pv_error *err), void *ctx,
			 struct pv_error *err) PV_MUST_CHECK;

#endif
