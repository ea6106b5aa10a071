/* SPDX-License-Identifier: Apache-2.0 */
/* Between verdict's own files: how a judgement goes on. */
#ifndef PV_VERDICT_PRIV_H
#define PV_VERDICT_PRIV_H

#include "verdict.h"

/* verdict_boot.c: did it boot. */
enum pv_boot_fault {
	PV_BOOT_FINE,			/* or not known yet */
	PV_BOOT_NOT_CREATED,
	PV_BOOT_NO_DISK,
	PV_BOOT_GRUB,
	PV_BOOT_OOM,
	PV_BOOT_NO_ROOT,
	PV_BOOT_PANIC,
	PV_BOOT_EMERGENCY,
	PV_BOOT_REBOOT,
	PV_BOOT_CRASH,
	PV_BOOT_POWEROFF,
	PV_BOOT_SILENT,			/* these only when time ran out */
	PV_BOOT_HANG,
	PV_BOOT_SLOW,
	PV_BOOT_UNSEEN,			/* watching ended early: the driver's wire broke */
};
struct pv_boot_finding {
	enum pv_boot_fault fault;
	size_t line;			/* console line that shows it, or nconsole */
	size_t screen;			/* screen line that shows it, or screen.n */
};
/* final: watching is over, so also what only the deadline shows. */
struct pv_boot_finding pv_boot_find(const struct pv_evidence *seen, bool final);
const char *pv_boot_fault_text(enum pv_boot_fault fault);	/* "kernel panic" */
/* The lines that prove it, as evidence of the verdict. */
void pv_boot_evidence(const struct pv_evidence *seen, const struct pv_boot_finding *finding, struct pv_strv *ret);

/* Text of a kernel message ("[    1.234567] text" -> "text"), NULL when the line has no time before it. */
const char *pv_kernel_text(const char *line);

/* verdict_class.c: the signs of PVHVM. */
enum pv_sign_state {
	PV_SIGN_YES,
	PV_SIGN_NO,
	PV_SIGN_UNKNOWN,
};
struct pv_sign {
	const char *name;		/* the check's */
	const char *expected;
	enum pv_sign_state state;
	char *seen;			/* owned: what stands there, one line */
	char *evidence;			/* owned: "console: ...", "guest: ...", "dom0: ..."; NULL: nothing to show */
};
#define PV_SIGNS_MAX 16u
struct pv_signs {
	struct pv_sign v[PV_SIGNS_MAX];
	size_t n;
};
void pv_signs_read(const struct pv_evidence *seen, const struct pv_expect *expect, struct pv_signs *ret);
void pv_signs_done(struct pv_signs *signs);
/* Sets class, cause and evidence of a guest that booted. */
void pv_class_judge(const struct pv_evidence *seen, const struct pv_expect *expect, const struct pv_signs *signs,
		    struct pv_verdict *ret);

/* verdict_checks.c, verdict_values.c: everything else. */
struct pv_judging {
	const struct pv_evidence *seen;
	const struct pv_expect *expect;
	struct pv_verdict *v;
};
/* Adds a check; expected and seen are copied. */
void pv_check_add(struct pv_judging *j, const char *name, enum pv_check_state state, const char *expected,
		  const char *seen);
void pv_checks_services(struct pv_judging *j);
void pv_checks_sizing(struct pv_judging *j);

/* verdict_time.c */
void pv_timeline_read(const struct pv_evidence *seen, struct pv_vars *ret);

/* A fact as a number; false when it is missing or none. */
bool pv_fact_u64(const struct pv_vars *facts, const char *name, uint64_t *ret);

#endif
