/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing to a host that runs xl: what is said to scripts/xl/receive there, from the lock to the domain that answers. */
#ifndef PV_PUBLISH_XL_H
#define PV_PUBLISH_XL_H

#include <stdbool.h>
#include <stdint.h>

#include "far_blocks.h"
#include "far_link.h"
#include "publish.h"

#define PV_XL_DEADLINE_S 600u		/* for a domain to answer, where nobody said */

struct pv_publish_xl {			/* borrowed but for the results below */
	const struct pv_publish *what;
	const struct pv_far_address *to;
	int fd;				/* the image */
	struct pv_far_blocks *blocks;	/* what it is; its blocks' digests are made when they are wanted */
	const char *sha256;
	char *config;			/* text of NAME.cfg */
	const char *disk;		/* NAME-DIGEST.raw */

	/* results, kept over broken conversations */
	bool already, placed;		/* it was there; this run gave it its name */
	uint64_t sent;
	unsigned removed;
};

/* One conversation, as pv_far_talk_fn with a struct pv_publish_xl; after a broken one the next goes on where it ended. */
int pv_publish_xl_talk(struct pv_far_link *link, void *ctx, struct pv_error *err);

#endif
