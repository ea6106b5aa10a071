/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of an image mirror: a list of products with their versions, and the index of such lists.
 * The form is simplestreams' (lp:simplestreams, doc/README and doc/files: index:1.0, products:1.0). */
#ifndef PV_STREAMS_H
#define PV_STREAMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "digest.h"
#include "error.h"
#include "machine.h"
#include "text.h"

#define PV_STREAMS_CONTENT "pvimg.images"		/* content_id of pvimg's own list; other lists are left alone */
#define PV_STREAMS_INDEX "streams/v1/index"		/* and ".json" or ".sjson" */
#define PV_STREAMS_LIST "streams/v1/" PV_STREAMS_CONTENT
#define PV_STREAMS_MAX ((size_t)64 << 20)

struct pv_streams_item {
	char *ftype, *path;				/* path: below the mirror's folder */
	uint64_t size;
	char sha256[PV_SHA256_HEX];
};

/* What a list or an index holds, checked so that the calls below need not; text NULL: a new, empty one. name: for
 * errors. PV_ERR_STAGE. The caller has one reference. */
int pv_streams_list_parse(const char *text, size_t len, const char *name, json_t **ret, struct pv_error *err) PV_MUST_CHECK;
int pv_streams_index_parse(const char *text, size_t len, const char *name, json_t **ret, struct pv_error *err) PV_MUST_CHECK;

/* "pvimg:NAME:amd64". The caller frees. */
char *pv_streams_product(const char *name);

/* The version that readers take: the last one bytewise. NULL: none. Borrowed. */
const char *pv_streams_newest(const json_t *list, const char *product);
/* The disk of that version is sha256, and has all the ftypes. */
bool pv_streams_holds(const json_t *list, const char *product, const char *version, const char *sha256,
		      const struct pv_strv *ftypes);
/* Paths and sizes of its files; ret_sizes is allocated, of ret_paths->n elements. */
void pv_streams_files(const json_t *list, const char *product, const char *version, struct pv_strv *ret_paths,
		      uint64_t **ret_sizes);

/* Some version of the product has a file of this path. */
bool pv_streams_has_path(const json_t *list, const char *product, const char *path);

/* A version after all that are there: the epoch's day, "20260821", else "20260821.01" and so on. PV_ERR_STAGE after 99
 * in a day. The caller frees. */
int pv_streams_next(const json_t *list, const char *product, int64_t epoch, char **ret, struct pv_error *err) PV_MUST_CHECK;
bool pv_streams_version_valid(const char *version);

void pv_streams_add(json_t *list, const struct pv_machine *m, const char *version, const char *sha256,
		    const struct pv_streams_item *items, size_t n);
/* Drops all but the last `keep` versions; their names are added to ret_dropped. */
void pv_streams_prune(json_t *list, const char *product, unsigned keep, struct pv_strv *ret_dropped);

/* The index with this list in it, in place of an older entry. signed_form: it leads to the .sjson of lists. */
void pv_streams_index_update(json_t *index, const json_t *list, bool signed_form);
bool pv_streams_index_has(const json_t *index, const char *product);
/* As text, "updated" set to now. The caller frees. */
char *pv_streams_text(json_t *root, time_t now);

#endif
