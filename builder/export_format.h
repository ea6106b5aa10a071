/* SPDX-License-Identifier: Apache-2.0 */
/* The formats as one table: how each opens, takes blocks, ends and closes. */
#ifndef PV_EXPORT_FORMAT_H
#define PV_EXPORT_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "blocks.h"
#include "error.h"
#include "machine.h"

struct pv_format;

struct pv_format_output {
	const struct pv_format *format;
	void *writer;				/* the format's own; NULL: not open */
	struct pv_block_sink sink;		/* set by open */
};

struct pv_format_facts {			/* borrowed; they outlive the output */
	const struct pv_machine *machine;
	const char *seed;
	uint64_t size;				/* whole MiB */
	int fd;
	const char *name;			/* for errors */
};

struct pv_format {
	const char *word, *suffix;		/* "vhd-tar-gz", "vhd.tar.gz" */
	bool streams;				/* a pipe will do */
	uint64_t max;				/* bytes of a disk; 0: no limit that matters */
	int (*open)(struct pv_format_output *out, const struct pv_format_facts *facts, struct pv_error *err);
	int (*finish)(struct pv_format_output *out, struct pv_error *err);
	void (*close)(struct pv_format_output *out);
};

/* NULL: no such word. */
const struct pv_format *pv_format_find(const char *word);

#endif
