/* SPDX-License-Identifier: Apache-2.0 */
/* The judgement: evidence in, class and checks out. Pure. */
#ifndef PV_VERDICT_H
#define PV_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "evidence.h"
#include "settings.h"
#include "text.h"
#include "vars.h"

enum pv_class {
	PV_CLASS_PVHVM,
	PV_CLASS_HVM,			/* "HVM without PV drivers" */
	PV_CLASS_PVH,
	PV_CLASS_PV,
	PV_CLASS_NOT_BOOTED,		/* "did not boot" */
};

enum pv_check_state {
	PV_CHECK_GREEN,
	PV_CHECK_RED,
	PV_CHECK_UNCHECKED,		/* could not be checked; does not make a verdict red by itself */
};

struct pv_check {
	char *name;			/* "callback vector" */
	enum pv_check_state state;
	char *expected, *seen;		/* one line each */
};

struct pv_verdict {
	enum pv_class class;
	bool green;			/* PVHVM and no red check; unchecked ones do not count */
	char *cause;			/* one line: why not PVHVM or what is red; NULL when green */
	struct pv_strv evidence;	/* the lines that decide the class: "console: ...", "dom0: ...", "guest: ..." */
	struct pv_check *checks;
	size_t nchecks;
	/* Phase -> milliseconds: "dom0" (start to domain created), "firmware", "grub", "kernel", "initramfs", "userspace",
	 * "total" (created to the end of boot), "service apache2.service" (its own start) ...; what was not seen is left
	 * out. */
	struct pv_vars timeline;
};

/* What the image should be: NULL settings (an image without our manifest) leave those checks unchecked, and so are the
 * services such an image need not have. */
struct pv_expect {
	const struct pv_settings *settings;
	uint64_t memory;
	unsigned vcpus;
	uint64_t disk_size;
	bool no_dom0;			/* the driver has none (kvm-xen): the class rests on the guest's side alone */
	double boot_budget;		/* 0: none; else the guest's boot may take this many times the reference boot */
	uint64_t reference_ms;		/* the driver's own reference boot on this host; 0: unknown */
};

/* The rule for PVHVM (xen-facts A.1): every sign on the guest's side and every sign on dom0's, and dom0 made it an HVM
 * domain. A guest that says nothing (no probe, a console without the kernel's words) is judged by dom0's alone; what the
 * guest says against is believed. Where dom0 and guest differ, the class is dom0's word. */
void pv_verdict_judge(const struct pv_evidence *seen, const struct pv_expect *expect, struct pv_verdict *ret);
void pv_verdict_done(struct pv_verdict *v);
#define pv_autoverdict __attribute__((cleanup(pv_verdict_done))) struct pv_verdict

/* While the guest boots: why waiting is of no more use, or NULL. Static text, the same that begins the verdict's cause:
 * a stable word for each case, such as "kernel panic". Cheap enough for every tick. After the probe has reported only
 * the end of the domain counts. */
const char *pv_verdict_fatal(const struct pv_evidence *seen);
/* The console shows the end of a boot (login prompt, multi-user target): an image without cloud-init says no more, so
 * the brain waits a little longer for a report and then judges. */
bool pv_verdict_up(const struct pv_evidence *seen);

/* The kernel said that it restarts the machine: by its own will, or after a panic. */
bool pv_verdict_restarted(const struct pv_evidence *seen);

const char *pv_class_name(enum pv_class c);	/* "PVHVM", "HVM without PV drivers", "PVH", "PV", "did not boot" */

/* What verify knows beside the verdict. */
struct pv_verdict_run {
	const char *driver, *driver_why, *proves;
	const struct pv_vars *driver_facts;
	const char *image, *format;
	char image_sha256[PV_SHA256_HEX];
	uint64_t memory, disk_size;
	unsigned vcpus;
	const char *console_log;	/* file name of the console's log beside verdict.json */
};

/* {"schema": "pvimg.verdict/1", ...}, sorted keys, ends in a newline; the caller frees. */
char *pv_verdict_json(const struct pv_verdict *v, const struct pv_verdict_run *run);
/* For people: the verdict in capitals with its evidence, one line a check. The caller frees. color: ANSI. */
char *pv_verdict_text(const struct pv_verdict *v, const struct pv_verdict_run *run, bool color);

#endif
