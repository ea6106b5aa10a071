/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own. */
#include "scratch.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "text.h"

static int enter(const char *below, void **state)
{
	char *dir = pv_fmt("%s/pvimg-test.XXXXXX", below);

	if (!mkdtemp(dir) || chdir(dir) < 0) {
		free(dir);
		return -1;
	}
	umask(022);
	*state = dir;
	return 0;
}

int scratch_enter(void **state)
{
	return enter("/tmp", state);
}

int scratch_enter_memory(void **state)
{
	return enter(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", state);
}

int scratch_leave(void **state)
{
	int rc = chdir("/");

	rc |= pv_rmtree(*state, NULL);
	rc |= access(*state, F_OK) == 0;
	free(*state);
	return rc;
}
