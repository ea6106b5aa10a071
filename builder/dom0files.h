/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into dom0's initramfs, and where: files of a tree, our scripts, and the folders around them. */
#ifndef PV_DOM0FILES_H
#define PV_DOM0FILES_H

#include <stddef.h>
#include <sys/types.h>

#include "cpio.h"
#include "error.h"

/* One entry. Of from, text and target at most one is set; none: a folder. */
struct pv_dom0file {
	char *name;			/* in the initramfs: "usr/bin/ssh" */
	char *from;			/* path in the tree */
	char *text;			/* the file itself */
	char *target;			/* of a symbolic link */
	mode_t mode;
};
struct pv_dom0files {
	struct pv_dom0file *v;
	size_t n, cap;
};

/* A file of the tree by its absolute path; links are followed (inside the tree) when it is written, so the initramfs has a
 * plain file of this name. /bin, /sbin, /lib and /lib64 are below /usr there too. PV_ERR_STAGE: no such path can be. */
int pv_dom0files_tree(struct pv_dom0files *files, const char *path, struct pv_error *err) PV_MUST_CHECK;
void pv_dom0files_text(struct pv_dom0files *files, const char *name, mode_t mode, const char *text);

/* What does not depend on packages: the links of merged /usr, mount points, root's entry in /etc/passwd, and each
 * script of the folder: init as /init, block and vif-bridge in /etc/xen/scripts, the others in /pvimg. */
int pv_dom0files_skeleton(struct pv_dom0files *files, const char *scripts_dir, struct pv_error *err) PV_MUST_CHECK;

/* Sorted, each name once, with the folders that are not named. */
int pv_dom0files_write(struct pv_dom0files *files, const char *root, struct pv_cpio *cpio, struct pv_error *err)
	PV_MUST_CHECK;

/* Names of the scripts in the folder, sorted: what beside the packages makes dom0 what it is. */
struct pv_strv;
int pv_dom0files_scripts(const char *scripts_dir, struct pv_strv *ret, struct pv_error *err) PV_MUST_CHECK;

void pv_dom0files_done(struct pv_dom0files *files);
#define pv_autodom0files __attribute__((cleanup(pv_dom0files_done))) struct pv_dom0files

#endif
