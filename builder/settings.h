/* SPDX-License-Identifier: Apache-2.0 */
/* The running values a plan asks for: sysctl, memcached, Apache. Written into the manifest by a build, read from it by
 * verify. */
#ifndef PV_SETTINGS_H
#define PV_SETTINGS_H

#include <stdint.h>

#include "error.h"
#include "plan.h"
#include "vars.h"

/* Names in the tables are [A-Za-z][A-Za-z0-9_.-]* (they go into the probe's script), values printable, in the order of
 * the files. Both ways of making a pv_settings see to it. */
struct pv_settings {
	char *name;			/* the recipe's, and so of the image's file: "debian-2g" */
	uint64_t memory;		/* bytes: the flavor */
	unsigned vcpus;
	unsigned boot_budget;		/* of the recipe; 0: none */
	unsigned reserve_mib;		/* MemAvailable must stay above it under load: what sizing keeps for the page cache */
	struct pv_vars sysctl;		/* "net.core.somaxconn" -> "4096"; values as /proc/sys prints them, blanks single */
	struct pv_vars memcached;	/* as "stats settings" prints them: "maxbytes" -> "536870912", "maxconns" .. */
	struct pv_vars apache;		/* "MaxRequestWorkers" -> "800": what bounds memory, connections and workers */
};

/* From the overlays' own files (overlays/sysctl/.../60-pvimg.conf.in and so on), rendered with the plan's variables: one
 * place for each value. A recipe without such an overlay has an empty table. */
int pv_settings_of_plan(const struct pv_plan *plan, const char *overlays_dir, struct pv_settings *ret,
			struct pv_error *err) PV_MUST_CHECK;
/* From manifest.json's "flavor" and "settings". PV_ERR_STAGE: not ours, from an older pvimg, or damaged. */
int pv_settings_read(const char *manifest_path, struct pv_settings *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_settings_done(struct pv_settings *s);
#define pv_autosettings __attribute__((cleanup(pv_settings_done))) struct pv_settings

/* For the manifest (jansson); new references. */
struct json_t;
struct json_t *pv_settings_flavor_json(const struct pv_settings *s);
struct json_t *pv_settings_json(const struct pv_settings *s);

/* The parsers, each fed with a whole file of the target; for tests. What they do not know they pass over. */
void pv_settings_parse_sysctl(const char *text, struct pv_vars *ret);		/* sysctl.d(5) */
void pv_settings_parse_memcached(const char *text, struct pv_vars *ret);	/* Debian's memcached.conf: one option a line */
void pv_settings_parse_apache(const char *text, struct pv_vars *ret);		/* directives; sections are looked into */

#endif
