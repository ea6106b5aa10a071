/* SPDX-License-Identifier: Apache-2.0 */
/* The proof: boots an image by a driver, talks with guest and dom0, judges, and writes the verdict. */
#ifndef PV_VERIFY_H
#define PV_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "driver.h"
#include "error.h"
#include "log.h"
#include "plan.h"
#include "settings.h"
#include "verdict.h"

#define PV_VERIFY_DEADLINE_S 600u
#define PV_VERIFY_MEMORY ((uint64_t)2 << 30)	/* for an image that does not say its flavor */
#define PV_VERIFY_VCPUS 2u
#define PV_VERIFY_GROWN ((uint64_t)1 << 30)	/* the guest's disk is that much larger than the image: root must grow */

/* Zero and NULL: not said. */
struct pv_verify_request {
	const char *image;
	const char *format;		/* "raw", "qcow2"; NULL: by the file */
	const char *driver;		/* NULL: auto */
	enum pv_boot_as as;
	uint64_t memory;		/* bytes; 0: the manifest's flavor */
	unsigned vcpus;
	bool uefi;
	const char *firmware;
	unsigned deadline_s;		/* 0: PV_VERIFY_DEADLINE_S */
	bool no_load;			/* without the load test */
	bool measure;			/* for compare.h: counts more (takes longer), leaves no records */
	bool fresh;			/* without a saved dom0 */
	const char *extra_disk;
	const char *record_dir;		/* where the records go; NULL: the image's folder */
	bool color;			/* of the result's text */
	const struct pv_paths *paths;
	struct pv_log *log;
	unsigned jobs;
	bool offline;			/* a dom0 that must be made is not fetched */
};

struct pv_verify_result {
	struct pv_verdict verdict;
	char *json_path, *console_path;
	char *json;			/* what is in json_path */
	char *text;			/* for people */
	/* Of a measured boot; else empty: "guest.", "dom0.", "driver." and "seen." before the names of the evidence's probe,
	 * dom0, the driver's facts and the evidence's measured; "outside.http_status"; "run.image_sha256", "run.format",
	 * "run.driver", "run.why", "run.memory", "run.vcpus". */
	struct pv_vars measured;
};
void pv_verify_result_done(struct pv_verify_result *res);
#define pv_autoverified __attribute__((cleanup(pv_verify_result_done))) struct pv_verify_result

/* Whether a guest of `memory` bytes can be booted here as asked: what a build finds out before it begins. */
int pv_verify_possible(const struct pv_verify_request *req, uint64_t memory, struct pv_error *err) PV_MUST_CHECK;

/* The flavor and the settings that must hold come from manifest.json beside the image, where there is one. The records are
 * DIR/verdict.json and DIR/console.log; beside an image without a manifest, IMAGE.verdict.json and IMAGE.console.log. Returns 0
 * when there is a verdict, whatever it says; -1 (PV_ERR_HOST, PV_ERR_STAGE, PV_ERR_USAGE, interrupted) when there is
 * none, and then writes nothing. The image is never written. Needs a process with one thread: enters the builder
 * namespace where the driver wants it. A measured boot writes no records: json, text are NULL, and the paths only say
 * where they would be. */
int pv_verify(const struct pv_verify_request *req, struct pv_verify_result *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
