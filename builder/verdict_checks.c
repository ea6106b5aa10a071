/* SPDX-License-Identifier: Apache-2.0 */
/* What a booted guest must do: its services from inside and outside, its disk, its clock, nothing killed. */
#include "verdict_priv.h"

#include <string.h>

struct check_row;
/* Judges one row. value: the row's fact, never NULL. Returns the state; *ret_seen (owned by the caller) may replace the
 * value as what is shown. */
typedef enum pv_check_state (*check_fn)(const struct pv_judging *j, const struct check_row *row, const char *value,
					char **ret_seen);

/* Of whose words a row's fact is. */
enum source {
	FROM_PROBE,
	FROM_OUTSIDE,
};

/* Which images the row is for. */
enum service {
	ANY,			/* all */
	PVIMG,			/* ours: one with a manifest */
	APACHE,			/* one with the overlay */
	MEMCACHED,
};

struct check_row {
	const char *name, *expected, *fact;
	enum source source;
	enum service service;
	check_fn check;
};

static enum pv_check_state when(bool good)
{
	return good ? PV_CHECK_GREEN : PV_CHECK_RED;
}

/* The value is what the row expects. */
static enum pv_check_state same(const struct pv_judging *j, const struct check_row *row, const char *value,
				char **ret_seen)
{
	(void)j;
	(void)ret_seen;
	return when(pv_streq(value, row->expected));
}

static enum pv_check_state yes(const struct pv_judging *j, const struct check_row *row, const char *value,
			       char **ret_seen)
{
	(void)j;
	(void)row;
	(void)ret_seen;
	return when(pv_streq(value, "yes"));
}

/* Nothing, or the word for it. */
static enum pv_check_state nothing(const struct pv_judging *j, const struct check_row *row, const char *value,
				   char **ret_seen)
{
	(void)j;
	(void)row;
	(void)ret_seen;
	return when(*value == '\0' || pv_streq(value, "none") || pv_streq(value, "0"));
}

static enum pv_check_state not_answered(const struct pv_judging *j, const struct check_row *row, const char *value,
					char **ret_seen)
{
	(void)j;
	(void)row;
	(void)ret_seen;
	return when(pv_starts(value, "refused") || pv_starts(value, "timeout") || pv_starts(value, "unreachable"));
}

static enum pv_check_state cloud_init(const struct pv_judging *j, const struct check_row *row, const char *value,
				      char **ret_seen)
{
	if (!j->expect->settings && pv_streq(value, "none"))
		return PV_CHECK_UNCHECKED;
	return same(j, row, value, ret_seen);
}

static enum pv_check_state clock_set(const struct pv_judging *j, const struct check_row *row, const char *value,
				     char **ret_seen)
{
	if (!j->expect->settings && pv_streq(value, "none"))
		return PV_CHECK_UNCHECKED;
	return yes(j, row, value, ret_seen);
}

/* What may lie beside the root file system on a disk: ESP and BIOS partition, and ext4's own tables (1/64 at one inode
 * for 16 KiB) with its journal. An image is grown by 1 GiB, so this tells grown from not grown up to 30 GiB. */
#define BESIDE_ROOT ((uint64_t)256 << 20)
#define BESIDE_ROOT_SHARE 40u

static enum pv_check_state root_grown(const struct pv_judging *j, const struct check_row *row, const char *value,
				      char **ret_seen)
{
	uint64_t root, disk;

	(void)row;
	if (pv_parse_u64(value, 1, UINT64_MAX, &root) < 0 || !pv_fact_u64(&j->seen->probe, "disk_bytes", &disk))
		return PV_CHECK_RED;
	pv_autofree char *has = pv_size_text(root), *of = pv_size_text(disk);
	*ret_seen = pv_fmt("%s of %s", has, of);
	return when(root + BESIDE_ROOT + disk / BESIDE_ROOT_SHARE >= disk);
}

static enum pv_check_state disk_size(const struct pv_judging *j, const struct check_row *row, const char *value,
				     char **ret_seen)
{
	uint64_t disk;

	(void)row;
	if (pv_parse_u64(value, 1, UINT64_MAX, &disk) < 0)
		return PV_CHECK_RED;
	*ret_seen = pv_size_text(disk);
	return j->expect->disk_size == 0 ? PV_CHECK_UNCHECKED : when(disk == j->expect->disk_size);
}

static const struct check_row rows[] = {
	{ "disk size", "what the guest was given", "disk_bytes", FROM_PROBE, ANY, disk_size },
	{ "root grown to the disk", "all of it", "root_bytes", FROM_PROBE, PVIMG, root_grown },
	{ "cloud-init", "done", "cloud_init", FROM_PROBE, PVIMG, cloud_init },
	{ "cloud-init errors", "none", "cloud_init_errors", FROM_PROBE, PVIMG, nothing },
	{ "failed units", "none", "failed_units", FROM_PROBE, ANY, nothing },
	{ "clock synchronised", "yes", "chrony", FROM_PROBE, PVIMG, clock_set },
	{ "swap", "none", "swap_kib", FROM_PROBE, PVIMG, nothing },
	{ "OOM kills", "none", "oom_kills", FROM_PROBE, ANY, nothing },
	{ "Apache", "active", "apache", FROM_PROBE, APACHE, same },
	{ "HTTP inside", "200", "http_local", FROM_PROBE, APACHE, same },
	{ "HTTP from outside", "200", "http_status", FROM_OUTSIDE, APACHE, same },
	{ "health page", "ok", "http_body", FROM_OUTSIDE, APACHE, same },
	{ "memcached set and get inside", "yes", "memcached_setget", FROM_PROBE, MEMCACHED, yes },
	{ "memcached from outside", "refused", "memcached", FROM_OUTSIDE, ANY, not_answered },
	{ "ssh login", "ok", "ssh", FROM_OUTSIDE, PVIMG, same },
};

/* Whether the image must have what the row asks for. */
static bool is_ours(const struct pv_expect *expect, enum service service)
{
	const struct pv_settings *s = expect->settings;

	switch (service) {
	case APACHE:
		return s && s->apache.n > 0;
	case MEMCACHED:
		return s && s->memcached.n > 0;
	case ANY:
	case PVIMG:
		break;
	}
	return s != NULL;
}

static void judge_row(struct pv_judging *j, const struct check_row *row)
{
	bool probe = row->source == FROM_PROBE, ours = is_ours(j->expect, row->service);
	const struct pv_vars *facts = probe ? &j->seen->probe : &j->seen->outside;
	const char *value = probe && !j->seen->have_probe ? NULL : pv_vars_get(facts, row->fact);
	pv_autofree char *seen = NULL;
	enum pv_check_state state;

	/* Nothing was asked of a guest that is not up or gave no report: that is red by itself. */
	if (j->v->class == PV_CLASS_NOT_BOOTED || (probe && !j->seen->have_probe)) {
		pv_check_add(j, row->name, PV_CHECK_UNCHECKED, row->expected,
			     j->v->class == PV_CLASS_NOT_BOOTED ? "it did not boot" : "no report from the guest");
		return;
	}
	if (!value) {
		pv_check_add(j, row->name, ours ? PV_CHECK_RED : PV_CHECK_UNCHECKED, row->expected,
			     probe ? "not reported" : "not tried");
		return;
	}
	state = row->check(j, row, value, &seen);
	/* Another's image need not have our services; that it has them counts, and so does an open memcached. */
	if (state == PV_CHECK_RED && !ours && row->service != ANY)
		state = PV_CHECK_UNCHECKED;
	pv_check_add(j, row->name, state, row->expected, seen ? seen : *value ? value : "none");
}

void pv_checks_services(struct pv_judging *j)
{
	for (size_t i = 0; i < PV_COUNT(rows); i++)
		judge_row(j, &rows[i]);
}
