/* SPDX-License-Identifier: Apache-2.0 */
/* The judgement: puts together whether it booted, the class, the checks and the timeline. */
#include "verdict_priv.h"

#include <stdlib.h>
#include <string.h>

#define RED_NAMES 5u			/* of red checks in the cause */

const char *pv_class_name(enum pv_class c)
{
	static const char *const names[] = {
		[PV_CLASS_PVHVM] = "PVHVM", [PV_CLASS_HVM] = "HVM without PV drivers", [PV_CLASS_PVH] = "PVH",
		[PV_CLASS_PV] = "PV", [PV_CLASS_NOT_BOOTED] = "did not boot",
	};

	return names[c];
}

void pv_check_add(struct pv_judging *j, const char *name, enum pv_check_state state, const char *expected,
		  const char *seen)
{
	struct pv_verdict *v = j->v;

	v->checks = pv_xreallocarray(v->checks, v->nchecks + 1, sizeof(*v->checks));
	v->checks[v->nchecks++] = (struct pv_check){
		.name = pv_xstrdup(name), .state = state, .expected = pv_xstrdup(expected),
		.seen = pv_printable(seen, strlen(seen)),
	};
}

static void check_signs(struct pv_judging *j, const struct pv_signs *signs)
{
	static const enum pv_check_state states[] = {
		[PV_SIGN_YES] = PV_CHECK_GREEN, [PV_SIGN_NO] = PV_CHECK_RED, [PV_SIGN_UNKNOWN] = PV_CHECK_UNCHECKED,
	};
	/* A guest that came nowhere near its drivers says nothing about them. */
	bool dead = j->v->class == PV_CLASS_NOT_BOOTED;

	for (size_t i = 0; i < signs->n; i++) {
		enum pv_check_state state = states[signs->v[i].state];
		pv_check_add(j, signs->v[i].name, dead && state == PV_CHECK_RED ? PV_CHECK_UNCHECKED : state,
			     signs->v[i].expected, signs->v[i].seen);
	}
}

/* The boot itself: that it came up, that it reported, that it is still there. */
static void check_boot(struct pv_judging *j)
{
	const struct pv_evidence *seen = j->seen;
	bool dead = j->v->class == PV_CLASS_NOT_BOOTED;

	pv_check_add(j, "boot", dead ? PV_CHECK_RED : PV_CHECK_GREEN, "the system comes up", dead ? j->v->cause : "up");
	if (dead)
		return;
	pv_check_add(j, "guest report", seen->have_probe ? PV_CHECK_GREEN :
		     j->expect->settings ? PV_CHECK_RED : PV_CHECK_UNCHECKED, "the probe reports",
		     seen->have_probe ? "complete" : "none came");
	pv_check_add(j, "stays up", seen->ended ? PV_CHECK_RED : PV_CHECK_GREEN, "running",
		     seen->ended ? seen->ended : "running");
}

/* "kernel panic: VFS: Unable to mount root fs on unknown-block(0,0)"; and what explains a root that is not found. */
static char *boot_cause(const struct pv_evidence *seen, const struct pv_boot_finding *found,
			const struct pv_signs *signs)
{
	const char *what = pv_boot_fault_text(found->fault), *more = NULL;
	static const char panic[] = "Kernel panic - not syncing: ";

	if (found->fault == PV_BOOT_NOT_CREATED)
		more = seen->failed;
	else if (found->screen < seen->screen.n)
		more = seen->screen.v[found->screen];
	else if (found->line < seen->nconsole)
		more = seen->console[found->line].text;
	const char *kernel = more ? pv_kernel_text(more) : NULL;
	if (kernel)
		more = pv_starts(kernel, panic) ? kernel + sizeof(panic) - 1 : kernel;
	if (found->fault == PV_BOOT_SILENT)
		more = "no word on hvc0; does the image have a kernel, and console=hvc0 on its command line?";
	const char *why = "";
	for (size_t i = 0; i < signs->n; i++)
		if (pv_streq(signs->v[i].name, "guest unplugged disks") && signs->v[i].state == PV_SIGN_NO)
			why = " (no PV drivers: emulated disks were not unplugged)";
	return pv_fmt("%s%s%s%s", what, more && *more ? ": " : "", more ? more + strspn(more, " ") : "",
		      found->fault == PV_BOOT_NO_ROOT ? why : "");
}

/* What is red, when it is PVHVM all the same. */
static void judge_green(struct pv_verdict *v)
{
	pv_autostrv red = PV_STRV_INIT;
	size_t n = 0;

	for (size_t i = 0; i < v->nchecks; i++)
		if (v->checks[i].state == PV_CHECK_RED && n++ < RED_NAMES)
			pv_strv_add(&red, v->checks[i].name);
	v->green = v->class == PV_CLASS_PVHVM && n == 0;
	if (v->class != PV_CLASS_PVHVM || n == 0)
		return;
	pv_autofree char *names = pv_strv_join(&red, ", ");
	pv_autofree char *more = n > RED_NAMES ? pv_fmt(" and %zu more", n - RED_NAMES) : pv_xstrdup("");
	v->cause = pv_fmt("%zu %s red: %s%s", n, n == 1 ? "check is" : "checks are", names, more);
}

void pv_verdict_judge(const struct pv_evidence *seen, const struct pv_expect *expect, struct pv_verdict *ret)
{
	struct pv_signs signs;
	struct pv_verdict v = { .class = PV_CLASS_NOT_BOOTED };
	struct pv_judging j = { .seen = seen, .expect = expect, .v = &v };
	struct pv_boot_finding found = pv_boot_find(seen, true);

	pv_signs_read(seen, expect, &signs);
	pv_timeline_read(seen, &v.timeline);
	if (found.fault != PV_BOOT_FINE) {
		v.cause = boot_cause(seen, &found, &signs);
		pv_boot_evidence(seen, &found, &v.evidence);
	} else {
		pv_class_judge(seen, expect, &signs, &v);
	}
	check_boot(&j);
	check_signs(&j, &signs);
	pv_signs_done(&signs);
	pv_checks_services(&j);
	pv_checks_sizing(&j);
	judge_green(&v);
	*ret = v;
}

void pv_verdict_done(struct pv_verdict *v)
{
	for (size_t i = 0; i < v->nchecks; i++) {
		free(v->checks[i].name);
		free(v->checks[i].expected);
		free(v->checks[i].seen);
	}
	free(v->checks);
	free(v->cause);
	pv_strv_done(&v->evidence);
	pv_vars_done(&v->timeline);
	*v = (struct pv_verdict){ 0 };
}
