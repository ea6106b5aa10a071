/* SPDX-License-Identifier: Apache-2.0 */
/* The programs and libraries of this host that leave their mark on an image, with their versions. */
#include <string.h>

#include "ext4.h"
#include "host.h"
#include "lockfile.h"
#include "version.h"

static const char *const programs[] = { "debootstrap", "dpkg-deb", "mcopy", "tar" };

static void add_program(const char *name, struct pv_strv *ret)
{
	for (size_t i = 0; i < pv_host_nprograms; i++) {
		pv_autofree char *path = NULL, *version = NULL;

		if (!pv_streq(pv_host_programs[i].name, name))
			continue;
		pv_host_program_find(&pv_host_programs[i], &path, &version);
		if (version)
			pv_strv_addf(ret, "%s %s", name, version);
	}
}

void pv_lockfile_tools(struct pv_strv *ret)
{
	for (size_t i = 0; i < PV_COUNT(programs); i++)
		add_program(programs[i], ret);
	pv_strv_addf(ret, "libext2fs %s", pv_ext4_version());
	pv_strv_add(ret, "pvimg " PV_VERSION);
	pv_strv_sort(ret);
}

/* The member for the same tool, or NULL. */
static const char *same_tool(const struct pv_strv *tools, const char *tool)
{
	size_t len = strcspn(tool, " ") + 1;

	for (size_t i = 0; i < tools->n; i++)
		if (strncmp(tools->v[i], tool, len) == 0)
			return tools->v[i];
	return NULL;
}

char *pv_lockfile_tools_differ(const struct pv_strv *locked)
{
	pv_autostrv here = PV_STRV_INIT, words = PV_STRV_INIT;

	pv_lockfile_tools(&here);
	for (size_t i = 0; i < locked->n; i++) {
		const char *mine = same_tool(&here, locked->v[i]);

		if (mine && pv_streq(mine, locked->v[i]))
			continue;
		pv_strv_addf(&words, "%s, here %s", locked->v[i], mine ? strchr(mine, ' ') + 1 : "none");
	}
	return words.n > 0 ? pv_strv_join(&words, "; ") : NULL;
}
