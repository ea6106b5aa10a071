/* SPDX-License-Identifier: Apache-2.0 */
/* Finding programs. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "proc_priv.h"
#include "text.h"

#define PATH_FALLBACK "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PATH_ADDED "/usr/sbin:/sbin"

const char *pv_proc_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *pv_proc_find(const char *name, const char *path)
{
	pv_autofree char *all = pv_fmt("%s:" PATH_ADDED, path ? path : PATH_FALLBACK);
	char *rest = all, *dir;

	while ((dir = strsep(&rest, ":"))) {
		pv_autofree char *full = NULL;

		if (*dir != '/')
			continue;
		full = pv_path_join(dir, name);
		if (is_program(full))
			return pv_steal(&full);
	}
	return NULL;
}

char *pv_proc_which(const char *name)
{
	if (*name == '\0')
		return NULL;
	if (strchr(name, '/'))
		return is_program(name) ? pv_xstrdup(name) : NULL;
	return pv_proc_find(name, getenv("PATH"));
}

int pv_proc_need(const char *name, const char *package, struct pv_error *err)
{
	pv_autofree char *path = pv_proc_which(name);

	if (path)
		return 0;
	return pv_error_set(err, PV_ERR_HOST, "%s: not found; install %s", name, package);
}
