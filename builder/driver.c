/* SPDX-License-Identifier: Apache-2.0 */
/* The table of drivers, and the choice among them. */
#include "driver.h"

#include "host.h"
#include "text.h"

static const struct pv_driver *const drivers[] = {
	&pv_driver_xl, &pv_driver_xen_in_qemu, &pv_driver_kvm_xen,
};

static int choose_auto(const struct pv_guest *guest, const struct pv_driver **ret, char **ret_why, struct pv_error *err)
{
	const char *why = NULL;

	*ret = &pv_driver_xl;
	switch (pv_host_xen()) {
	case PV_XEN_DOM0:
		why = "this host is a Xen dom0";
		break;
	case PV_XEN_GUEST:
		why = "this host is a guest of Xen and no dom0, so Xen runs inside QEMU";
		*ret = &pv_driver_xen_in_qemu;
		break;
	default:
		why = "no Xen on this host, so it runs inside QEMU";
		*ret = &pv_driver_xen_in_qemu;
		break;
	}
	if ((*ret)->probe(guest, err) < 0)
		return pv_error_wrap(err, "driver %s (%s)", (*ret)->name, why);
	*ret_why = pv_xstrdup(why);
	return 0;
}

static int unknown_driver(const char *name, struct pv_error *err)
{
	const char *names[PV_COUNT(drivers) + 2] = { "auto" };
	const char *near;

	for (size_t i = 0; i < PV_COUNT(drivers); i++)
		names[i + 1] = drivers[i]->name;
	near = pv_nearest(name, names);
	return pv_error_set(err, PV_ERR_USAGE, "--driver %s: unknown%s%s%s; auto, xl, xen-in-qemu or kvm-xen", name,
			    near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int pv_driver_choose(const char *name, const struct pv_guest *guest, const struct pv_driver **ret, char **ret_why,
		     struct pv_error *err)
{
	const struct pv_driver *found = NULL;
	char *why = NULL;

	if (!name || pv_streq(name, "auto")) {
		if (choose_auto(guest, &found, &why, err) < 0)
			return -1;
	} else {
		for (size_t i = 0; i < PV_COUNT(drivers) && !found; i++)
			if (pv_streq(drivers[i]->name, name))
				found = drivers[i];
		if (!found)
			return unknown_driver(name, err);
		if (found->probe(guest, err) < 0)
			return pv_error_wrap(err, "driver %s", name);
		why = pv_xstrdup("asked for by --driver");
	}
	*ret = found;
	*ret_why = why;
	return 0;
}
