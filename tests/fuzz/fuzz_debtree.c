/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a .deb that is unpacked: no crash, and nothing appears outside of the tree. */
#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "debtree.h"
#include "fsutil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The folder has the package and the tree, and no more. */
static void check_folder(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *de;
	int n = 0;

	if (!dir)
		abort();
	while ((de = readdir(dir)))
		n += de->d_name[0] != '.';
	closedir(dir);
	if (n != 2)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pv_debtree_options options = { .max_bytes = 1 << 20 };
	char dir[] = "/tmp/pvimg-fuzz-XXXXXX";
	pv_autoerror err = PV_ERROR_INIT, fault = PV_ERROR_INIT;

	if (!mkdtemp(dir))
		return 0;
	pv_autofree char *deb = pv_path_join(dir, "deb");
	pv_autofree char *root = pv_path_join(dir, "root");
	if (pv_write_file(deb, data, size, 0600, &err) == 0 && pv_mkdirs(root, 0755, &err) == 0 &&
	    pv_debtree_begin(root, &options, &err) == 0) {
		if (pv_debtree_unpack(deb, root, &options, &fault) < 0 && !fault.text)
			abort();
		check_folder(dir);
	}
	if (pv_rmtree(dir, NULL) < 0)
		abort();
	return 0;
}
