/* SPDX-License-Identifier: Apache-2.0 */
/* dom0's view of the domain, from the words of xenstore, Xen and the device model. */
#include "dom0facts.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define ENTRIES_MAX 8192u		/* of xenstore; a domain's quota is 1000 (xenstored, -E) */
#define XENBUS_CONNECTED "4"		/* XenbusStateConnected, Xen's public/io/xenbus.h */

/* ECS_* of Xen's event channels (xen/include/xen/sched.h), as debug key e prints them. */
enum { CHANNEL_VIRQ = 5, CHANNEL_IPI = 6 };
/* HVMIRQ_callback_* (xen/include/asm-x86/hvm/irq.h), as debug key I prints them. */
enum { CALLBACK_NONE, CALLBACK_GSI, CALLBACK_PCI, CALLBACK_VECTOR };

struct entry {
	char *path, *value;
};

struct pv_dom0facts {
	char *domid;
	struct entry *entries;
	size_t n, cap;
	bool irq_ours, channels_ours;	/* the lines of Xen's log that come now are about our domain */
	char *callback;
	bool cmdline_seen, logs_upcalls;
	unsigned upcall;		/* vector that the guest set for its vcpus one by one; 0: none */
	bool channels_seen;
	unsigned channels;
	bool pci_seen, block_seen, nic, disk;
	char *device_model;
};

struct pv_dom0facts *pv_dom0facts_new(void)
{
	return pv_xcalloc(1, sizeof(struct pv_dom0facts));
}

void pv_dom0facts_free(struct pv_dom0facts *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++) {
		free(f->entries[i].path);
		free(f->entries[i].value);
	}
	free(f->entries);
	free(f->domid);
	free(f->callback);
	free(f->device_model);
	free(f);
}

/* --- lines --- */

/* PATH = "VALUE", perhaps with permissions behind it. xenstored allows no blanks in paths, xenstore-ls escapes values. */
static void take_entry(struct pv_dom0facts *f, const char *text)
{
	const char *equals = strstr(text, " = \""), *end;

	if (!equals || f->n >= ENTRIES_MAX)
		return;
	const char *value = equals + strlen(" = \"");
	end = strrchr(value, '"');
	if (!end)
		return;
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 128;
		f->entries = pv_xreallocarray(f->entries, f->cap, sizeof(*f->entries));
	}
	f->entries[f->n++] = (struct entry){ .path = pv_xstrndup(text, (size_t)(equals - text)),
					     .value = pv_xstrndup(value, (size_t)(end - value)) };
}

/* "Event channel information for domain 12:" */
static bool names_domain(const struct pv_dom0facts *f, const char *text, const char *before, bool *ret_ours)
{
	if (!pv_starts(text, before))
		return false;
	text += strlen(before);
	size_t len = strcspn(text, ":");
	*ret_ours = f->domid && strlen(f->domid) == len && strncmp(text, f->domid, len) == 0;
	return true;
}

/* "Callback via 3:0xf3, not asserted" */
static void take_callback(struct pv_dom0facts *f, const char *text)
{
	unsigned kind, detail;

	if (sscanf(text, "Callback via %u:%x,", &kind, &detail) != 2)
		return;
	free(f->callback);
	switch (kind) {
	case CALLBACK_VECTOR:
		f->callback = pv_fmt("vector 0x%x", detail);
		break;
	case CALLBACK_GSI:
		f->callback = pv_fmt("gsi %u", detail);
		break;
	case CALLBACK_PCI:
		f->callback = pv_fmt("pci 0x%x", detail);
		break;
	default:
		f->callback = pv_xstrdup("none");
	}
}

/* "d3v1: upcall vector f3": the guest took vectors for its vcpus, which go before the callback; Linux since 6.0 then sets
 * the callback to GSI 1, for toolstacks to see (xen_set_upcall_vector in drivers/xen/events). */
static void take_upcall(struct pv_dom0facts *f, const char *text)
{
	unsigned id, vcpu, vector;

	if (!f->domid || sscanf(text, "d%uv%u: upcall vector %x", &id, &vcpu, &vector) != 3)
		return;
	pv_autofree char *domid = pv_fmt("%u", id);
	if (pv_streq(domid, f->domid))
		f->upcall = vector;
}

/* xen-command-line(7), guest_loglvl: without it only warnings about guests are logged. */
static void take_cmdline(struct pv_dom0facts *f, const char *text)
{
	static const char *const loud[] = { "guest_loglvl=info", "guest_loglvl=debug", "guest_loglvl=all" };

	if (f->cmdline_seen)
		return;
	f->cmdline_seen = true;
	for (size_t i = 0; i < PV_COUNT(loud); i++)
		f->logs_upcalls = f->logs_upcalls || strstr(text, loud[i]);
}

/* Each press of a key lists anew: the last one counts. */
static void take_xen(struct pv_dom0facts *f, const char *text)
{
	unsigned port, channel;

	take_upcall(f, text);
	if (names_domain(f, text, "Domain ", &f->irq_ours))
		return;
	if (names_domain(f, text, "Event channel information for domain ", &f->channels_ours)) {
		if (f->channels_ours) {
			f->channels_seen = true;
			f->channels = 0;
		}
		return;
	}
	if (f->irq_ours)
		take_callback(f, text);
	/* "   12 [0/0/ -   ]: s=5 n=1 x=0 v=0" */
	const char *colon = strstr(text, "]: s=");
	if (f->channels_ours && colon && sscanf(text, " %u [", &port) == 1 && sscanf(colon, "]: s=%u ", &channel) == 1 &&
	    (channel == CHANNEL_VIRQ || channel == CHANNEL_IPI))
		f->channels++;
}

/* The classes of PCI devices by QEMU's names (info pci). The IDE controller is part of the chipset and stays. */
static void take_pci(struct pv_dom0facts *f, const char *text)
{
	text += strspn(text, " ");
	f->pci_seen = f->pci_seen || pv_starts(text, "Bus ");
	f->nic = f->nic || pv_starts(text, "Ethernet controller:");
	f->disk = f->disk || pv_starts(text, "SCSI controller:") || pv_starts(text, "SATA controller:");
}

/* "scsi0-hd0 (#block123): /dev/vda (raw)": an emulated hard disk that is still there. nvme is of domcfg.c. */
static void take_block(struct pv_dom0facts *f, const char *text)
{
	f->block_seen = true;
	bool of_disk = pv_starts(text, "ide") || pv_starts(text, "scsi") || pv_starts(text, "nvme");
	f->disk = f->disk || (of_disk && strstr(text, "-hd"));
}

void pv_dom0facts_line(struct pv_dom0facts *f, const char *line)
{
	size_t len = strcspn(line, " ");
	const char *text = line[len] ? line + len + 1 : line + len;
	pv_autofree char *kind = pv_xstrndup(line, len);

	if (pv_streq(kind, "domid")) {
		uint64_t id;
		if (!f->domid && pv_parse_u64(text, 1, 65535, &id) == 0)
			f->domid = pv_xstrdup(text);
	} else if (pv_streq(kind, "cmdline")) {
		take_cmdline(f, text);
	} else if (pv_streq(kind, "xs")) {
		take_entry(f, text);
	} else if (pv_streq(kind, "xen")) {
		take_xen(f, text);
	} else if (pv_streq(kind, "pci")) {
		take_pci(f, text);
	} else if (pv_streq(kind, "block")) {
		take_block(f, text);
	} else if (pv_streq(kind, "version") && !f->device_model && *text) {
		f->device_model = pv_printable(text, strlen(text));
	}
}

/* --- what they mean --- */

static const char *value_at(const struct pv_dom0facts *f, const char *path)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->entries[i].path, path) == 0)
			return f->entries[i].value;
	return NULL;
}

static bool connected(const struct pv_dom0facts *f, const char *device)
{
	pv_autofree char *path = pv_fmt("%s/state", device);

	return pv_streq(value_at(f, path), XENBUS_CONNECTED);
}

/* dom0 lists under /libxl what it gave the guest, and there names the backend: /libxl/N/device/vbd/2048/backend. */
static void count_devices(const struct pv_dom0facts *f, const char *class, struct pv_vars *ret)
{
	pv_autofree char *before = pv_fmt("/libxl/%s/device/%s/", f->domid, class);
	unsigned n = 0, good = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (!pv_starts(f->entries[i].path, before))
			continue;
		const char *id = f->entries[i].path + strlen(before);
		if (!pv_streq(strchr(id, '/'), "/backend"))
			continue;
		pv_autofree char *frontend = pv_fmt("/local/domain/%s/device/%s/%.*s", f->domid, class,
						    (int)strcspn(id, "/"), id);
		n++;
		good += connected(f, f->entries[i].value) && connected(f, frontend);
	}
	pv_vars_setf(ret, class, "%u of %u connected", good, n);
}

void pv_dom0facts_end(struct pv_dom0facts *f, struct pv_vars *ret)
{
	if (!f->domid)
		return;
	pv_autofree char *type_path = pv_fmt("/libxl/%s/type", f->domid);
	const char *type = value_at(f, type_path);
	if (pv_streq(type, "hvm") || pv_streq(type, "pvh") || pv_streq(type, "pv"))
		pv_vars_set(ret, "domain_type", type);
	if (f->n > 0) {
		count_devices(f, "vbd", ret);
		count_devices(f, "vif", ret);
	}
	if (f->upcall)
		pv_vars_setf(ret, "callback", "vector 0x%x", f->upcall);
	else if (pv_streq(f->callback, "gsi 1") && f->cmdline_seen && !f->logs_upcalls)
		pv_vars_set(ret, "callback", "unknown: gsi 1, and this Xen does not log vectors (guest_loglvl=info does)");
	else if (f->callback)
		pv_vars_set(ret, "callback", f->callback);
	if (f->channels_seen)
		pv_vars_setf(ret, "channels", "%u", f->channels);
	if (f->pci_seen)
		pv_vars_set(ret, "unplugged_nic", f->nic ? "no" : "yes");
	if (f->pci_seen && f->block_seen)
		pv_vars_set(ret, "unplugged_disk", f->disk ? "no" : "yes");
	if (f->device_model)
		pv_vars_set(ret, "device_model", f->device_model);
}
