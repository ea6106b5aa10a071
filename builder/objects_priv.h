/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by objects*.c only. */
#ifndef PV_OBJECTS_PRIV_H
#define PV_OBJECTS_PRIV_H

#include "objects.h"

#define PV_OBJECTS_DIR "stages"
#define PV_OBJECTS_LOCK "stages.lock"
#define PV_RECORD_MAX ((size_t)16 << 20)

struct pv_objects {
	char *dir;			/* cache_dir/stages */
	struct pv_store *store;		/* borrowed */
	int lock;
};

/* JSON of schema pvimg.stage/1. parse: false when it is anything else; *ret is then to be freed all the same. */
char *pv_record_text(const struct pv_record *record);
bool pv_record_parse(const char *text, size_t len, struct pv_record *ret);

#endif
