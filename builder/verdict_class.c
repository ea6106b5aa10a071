/* SPDX-License-Identifier: Apache-2.0 */
/* The signs of PVHVM on the guest's side and on dom0's, and the class that follows from them. */
#include "verdict_priv.h"

#include <stdlib.h>
#include <string.h>

/* ---- guest ---------------------------------------------------------------------------------------------------------- */

/* The guest's signs: a fact of the probe, and the kernel's message that says the same (xen-facts A.1, from arch/x86/xen,
 * drivers/xen, drivers/block/xen-blkfront.c, drivers/net/xen-netfront.c of Linux). */
static const struct guest_sign {
	const char *name, *expected, *fact;
	const char *want;		/* the fact's value */
	const char *count;		/* or another fact that is then a number above 0; NULL: none */
	const char *message;		/* part of the kernel's message */
	bool may_be_silent;		/* the message comes late, when a system may have turned the console's level down */
} guest_signs[] = {
	{ "guest callback vector", "enabled", "callback", "yes", NULL, "Xen HVM callback vector for event delivery is enabled",
	  false },
	{ "guest vcpuop timer", "in use", "vcpuop", "yes", "timer0_irqs", "sing vcpuop timer interface", false },
	{ "guest unplugged NICs", "yes", "unplug_nics", "yes", NULL,
	  "Netfront and the Xen platform PCI driver have been compiled for this kernel: unplug emulated NICs", false },
	{ "guest unplugged disks", "yes", "unplug_disks", "yes", NULL,
	  "Blkfront and the Xen platform PCI driver have been compiled for this kernel: unplug emulated disks", false },
	{ "guest root on vbd", "vbd", "root_driver", "vbd", NULL, "blkfront: xvd", true },
	{ "guest NICs on vif", "every one on vif", "nics", NULL, NULL, "Initialising Xen virtual ethernet driver", true },
};

/* The first kernel message that holds `part`; NULL: none. */
static const char *find_message(const struct pv_evidence *seen, const char *part)
{
	for (size_t i = 0; i < seen->nconsole; i++) {
		const char *text = pv_kernel_text(seen->console[i].text);
		if (text && strstr(text, part))
			return text;
	}
	return NULL;
}

static struct pv_sign *add_sign(struct pv_signs *signs, const char *name, const char *expected,
				enum pv_sign_state state, const char *seen)
{
	struct pv_sign *sign = &signs->v[signs->n++];

	*sign = (struct pv_sign){ .name = name, .expected = expected, .state = state, .seen = pv_xstrdup(seen) };
	return sign;
}

/* "eth0=vif eth1=vif": every one on vif, and at least one. */
static bool all_on_vif(const char *nics)
{
	pv_autofree char *words = pv_xstrdup(nics);
	char *save = NULL;
	size_t n = 0;

	for (char *word = strtok_r(words, " ,", &save); word; word = strtok_r(NULL, " ,", &save), n++)
		if (!pv_ends(word, "=vif"))
			return false;
	return n > 0;
}

static const char *say(const char *value)
{
	return *value ? value : "none";
}

static void fact_sign(const struct pv_evidence *seen, const struct guest_sign *row, const char *value,
		      struct pv_signs *ret)
{
	uint64_t n;
	bool yes = row->want ? pv_streq(value, row->want) : all_on_vif(value);
	const char *fact = row->fact;

	/* The message may have left the kernel's ring; the interrupts still count. */
	if (!yes && row->count && pv_fact_u64(&seen->probe, row->count, &n) && n > 0) {
		yes = true;
		fact = row->count;
		value = pv_vars_get(&seen->probe, fact);
	}
	struct pv_sign *sign = add_sign(ret, row->name, row->expected, yes ? PV_SIGN_YES : PV_SIGN_NO, say(value));
	sign->evidence = pv_fmt("guest: %s = %s", fact, say(value));
}

static void message_sign(const struct pv_evidence *seen, const struct guest_sign *row, bool talks, struct pv_signs *ret)
{
	const char *message = find_message(seen, row->message);

	if (message) {
		add_sign(ret, row->name, row->expected, PV_SIGN_YES, message)->evidence = pv_fmt("console: %s", message);
	} else if (talks && !row->may_be_silent) {
		add_sign(ret, row->name, row->expected, PV_SIGN_NO, "the kernel does not say so")->evidence =
			pv_fmt("console: no message \"%s\"", row->message);
	} else {
		add_sign(ret, row->name, row->expected, PV_SIGN_UNKNOWN, "no word of it on the console");
	}
}

/* What the guest takes itself for: "HVM", "PVH", "PV", "not Xen"; NULL: it does not say. */
static const char *guest_type(const struct pv_evidence *seen, const char **ret_message)
{
	const char *fact = seen->have_probe ? pv_vars_get(&seen->probe, "guest_type") : NULL;
	static const char detected[] = "Hypervisor detected: ", booting[] = "Booting paravirtualized kernel on ";

	*ret_message = NULL;
	if (fact && *fact && !pv_streq(fact, "none"))
		return fact;
	for (size_t i = 0; i < seen->nconsole; i++) {
		const char *text = pv_kernel_text(seen->console[i].text), *name = NULL;
		if (text && pv_starts(text, detected))
			name = text + sizeof(detected) - 1;
		else if (text && pv_starts(text, booting))
			name = text + sizeof(booting) - 1;
		if (!name)
			continue;
		*ret_message = text;
		if (pv_starts(name, "Xen PVH"))
			return "PVH";
		if (pv_starts(name, "Xen PV"))
			return "PV";
		if (pv_starts(name, "Xen HVM"))
			return "HVM";
		/* "Hypervisor detected: Xen": an older HVM kernel, or PV; the other message tells. "on Xen": PV. */
		if (pv_streq(name, "Xen") && text[0] == 'B')
			return "PV";
		if (!pv_starts(name, "Xen"))
			return "not Xen";
	}
	*ret_message = NULL;
	return find_message(seen, "Linux version ") ? "not Xen" : NULL;
}

static void guest_side(const struct pv_evidence *seen, struct pv_signs *ret)
{
	bool talks = find_message(seen, "Linux version ") != NULL;
	const char *message, *type = guest_type(seen, &message);
	struct pv_sign *sign = add_sign(ret, "guest type", "HVM", !type ? PV_SIGN_UNKNOWN :
					pv_streq(type, "HVM") ? PV_SIGN_YES : PV_SIGN_NO, type ? type : "it does not say");

	if (type)
		sign->evidence = message ? pv_fmt("console: %s", message) : pv_fmt("guest: guest_type = %s", type);
	for (size_t i = 0; i < PV_COUNT(guest_signs); i++) {
		const char *value = seen->have_probe ? pv_vars_get(&seen->probe, guest_signs[i].fact) : NULL;
		if (value)
			fact_sign(seen, &guest_signs[i], value, ret);
		else
			message_sign(seen, &guest_signs[i], talks, ret);
	}
}

/* ---- dom0 ----------------------------------------------------------------------------------------------------------- */

static bool is_hvm(const char *value)
{
	return pv_streq(value, "hvm");
}

static bool is_yes(const char *value)
{
	return pv_streq(value, "yes");
}

static bool is_vector(const char *value)
{
	return pv_starts(value, "vector");
}

/* "2 of 2 connected" */
static bool all_connected(const char *value)
{
	pv_autofree char *words = pv_xstrdup(value);
	char *save = NULL, *have = strtok_r(words, " ", &save), *of = strtok_r(NULL, " ", &save),
	     *all = strtok_r(NULL, " ", &save), *what = strtok_r(NULL, "", &save);
	uint64_t n, total;

	return have && pv_streq(of, "of") && all && pv_streq(what, "connected") &&
	       pv_parse_u64(have, 1, UINT32_MAX, &n) == 0 && pv_parse_u64(all, 1, UINT32_MAX, &total) == 0 && n == total;
}

static bool above_none(const char *value)
{
	uint64_t n;

	return pv_parse_u64(value, 1, UINT32_MAX, &n) == 0;
}

static const struct {
	const char *name, *expected, *fact;
	bool (*is)(const char *value);
	bool may_be_unknown;		/* the device model's monitor need not answer; what no guest can fake must be there */
} dom0_signs[] = {
	{ "dom0 domain type", "hvm", "domain_type", is_hvm, false },
	{ "dom0 vbd connected", "all", "vbd", all_connected, false },
	{ "dom0 vif connected", "all", "vif", all_connected, false },
	{ "dom0 callback vector", "vector", "callback", is_vector, false },
	{ "dom0 event channels", "bound", "channels", above_none, false },
	{ "dom0 NIC unplugged", "yes", "unplugged_nic", is_yes, true },
	{ "dom0 disk unplugged", "yes", "unplugged_disk", is_yes, true },
};

static void dom0_side(const struct pv_evidence *seen, const struct pv_expect *expect, struct pv_signs *ret)
{
	for (size_t i = 0; i < PV_COUNT(dom0_signs); i++) {
		const char *value = seen->have_dom0 ? pv_vars_get(&seen->dom0, dom0_signs[i].fact) : NULL;
		enum pv_sign_state state = expect->no_dom0 || dom0_signs[i].may_be_unknown ? PV_SIGN_UNKNOWN : PV_SIGN_NO;
		if (value && *value)
			state = pv_starts(value, "unknown: ") ? PV_SIGN_UNKNOWN :
				dom0_signs[i].is(value) ? PV_SIGN_YES : PV_SIGN_NO;
		struct pv_sign *sign = add_sign(ret, dom0_signs[i].name, dom0_signs[i].expected, state,
						value && *value ? value : expect->no_dom0 ? "this driver has no dom0" :
						"not seen by dom0");
		if (state != PV_SIGN_UNKNOWN)
			sign->evidence = pv_fmt("dom0: %s = %s", dom0_signs[i].fact, value && *value ? value : "not seen");
	}
}

void pv_signs_read(const struct pv_evidence *seen, const struct pv_expect *expect, struct pv_signs *ret)
{
	*ret = (struct pv_signs){ 0 };
	guest_side(seen, ret);
	dom0_side(seen, expect, ret);
}

void pv_signs_done(struct pv_signs *signs)
{
	for (size_t i = 0; i < signs->n; i++) {
		free(signs->v[i].seen);
		free(signs->v[i].evidence);
	}
	signs->n = 0;
}

/* ---- class ---------------------------------------------------------------------------------------------------------- */

static const struct pv_sign *find_sign(const struct pv_signs *signs, const char *name)
{
	for (size_t i = 0; i < signs->n; i++)
		if (pv_streq(signs->v[i].name, name))
			return &signs->v[i];
	return NULL;
}

static void add_evidence(const struct pv_signs *signs, bool all, struct pv_strv *ret)
{
	for (size_t i = 0; i < signs->n; i++) {
		const struct pv_sign *sign = &signs->v[i];
		bool type = pv_streq(sign->name, "guest type") || pv_streq(sign->name, "dom0 domain type");
		if (sign->evidence && (all || type || sign->state == PV_SIGN_NO))
			pv_strv_add(ret, sign->evidence);
	}
}

/* PV or PVH by dom0's word, or by the guest's where dom0 says nothing. */
static bool is_no_hvm(const struct pv_evidence *seen, const struct pv_sign *guest, struct pv_verdict *ret)
{
	const char *dom0 = seen->have_dom0 ? pv_vars_get(&seen->dom0, "domain_type") : NULL;
	bool pvh = dom0 ? pv_streq(dom0, "pvh") : pv_streq(guest->seen, "PVH");
	bool pv = dom0 ? pv_streq(dom0, "pv") : pv_streq(guest->seen, "PV");

	if (!pvh && !pv)
		return false;
	ret->class = pvh ? PV_CLASS_PVH : PV_CLASS_PV;
	const char *name = pv_class_name(ret->class);
	ret->cause = dom0 && guest->state != PV_SIGN_UNKNOWN && !pv_streq(guest->seen, name) ?
		     pv_fmt("the domain is %s, though the guest says %s", name, guest->seen) :
		     pv_fmt("the guest ran as %s", name);
	return true;
}

/* Without dom0's word the guest's type and callback vector must be known; and at least something must have been seen. */
static const struct pv_sign *first_missing(const struct pv_signs *signs, const struct pv_expect *expect)
{
	static const char *const needed[] = { "guest type", "guest callback vector" };

	for (size_t i = 0; i < signs->n; i++)
		if (signs->v[i].state == PV_SIGN_NO)
			return &signs->v[i];
	for (size_t i = 0; expect->no_dom0 && i < PV_COUNT(needed); i++)
		if (find_sign(signs, needed[i])->state != PV_SIGN_YES)
			return find_sign(signs, needed[i]);
	return NULL;
}

void pv_class_judge(const struct pv_evidence *seen, const struct pv_expect *expect, const struct pv_signs *signs,
		    struct pv_verdict *ret)
{
	const struct pv_sign *guest = find_sign(signs, "guest type"), *missing;

	if (is_no_hvm(seen, guest, ret)) {
		add_evidence(signs, false, &ret->evidence);
		return;
	}
	missing = first_missing(signs, expect);
	ret->class = missing ? PV_CLASS_HVM : PV_CLASS_PVHVM;
	add_evidence(signs, !missing, &ret->evidence);
	if (!missing)
		return;
	if (!missing->evidence)
		pv_strv_addf(&ret->evidence, "%s: %s", missing->name, missing->seen);
	if (!seen->have_dom0 && !expect->no_dom0)
		ret->cause = pv_xstrdup("not proven: dom0's own view of the domain is missing");
	else
		ret->cause = pv_fmt("%s: %s", missing->name, missing->seen);
}
