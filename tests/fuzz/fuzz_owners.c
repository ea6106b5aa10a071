/* SPDX-License-Identifier: Apache-2.0 */
/* An overlay's OWNERS file beside a small tree: taken or refused with words, and no path of it leads out of the tree. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "overlay_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *dir;		/* one a process: made at its first input, removed at its end */

static void remove_dir(void)
{
	pv_autoerror ignored = PV_ERROR_INIT;

	if (pv_rmtree(dir, &ignored) < 0)
		fputs("fuzz_owners: its folder stays\n", stderr);
	pv_freep(&dir);
}

static void make_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	pv_autoerror err = PV_ERROR_INIT;

	dir = pv_fmt("%s/pvimg-fuzz.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		abort();
	atexit(remove_dir);
	pv_autofree char *etc = pv_path_join(dir, "o/etc");
	pv_autofree char *file = pv_path_join(etc, "a.conf.in");
	if (pv_mkdirs(etc, 0755, &err) < 0 || pv_write_file(file, "@set@\n", 6, 0644, &err) < 0)
		abort();
}

static bool leads_out(const char *path)
{
	return *path == '/' || pv_streq(path, "..") || pv_starts(path, "../") || strstr(path, "/../") ||
	       pv_ends(path, "/..");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pv_vars vars = { 0 };
	pv_autostrv names = PV_STRV_INIT;
	pv_autooverlayset set = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (!dir)
		make_dir();
	pv_autofree char *owners = pv_path_join(dir, "o/OWNERS");
	if (pv_write_file(owners, data, size, 0644, &err) < 0)
		abort();
	pv_vars_set(&vars, "set", "yes");
	pv_vars_set(&vars, "unset", "");
	pv_strv_add(&names, "o");
	if (pv_overlay_set_load(dir, &names, &vars, &set, &err) < 0 && !err.text)
		abort();
	for (size_t i = 0; i < set.n; i++)
		if (leads_out(set.v[i].path) || (set.v[i].mode != PV_OVERLAY_MODE_UNSAID && (set.v[i].mode & ~07777u)))
			abort();
	pv_vars_done(&vars);
	return 0;
}
