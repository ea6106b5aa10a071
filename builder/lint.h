/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a finished image, without booting it. One row of a table is one check, with its reason. */
#ifndef PV_LINT_H
#define PV_LINT_H

#include "error.h"
#include "image.h"
#include "suite.h"
#include "text.h"

/* Where checks write what they found wrong; each word is one line. */
struct pv_lint {
	const struct pv_image *image;
	const struct pv_suite *suite;	/* of the image's os-release; NULL: unknown */
	struct pv_strv faults;		/* of the check that runs */
};
void pv_lint_fault(struct pv_lint *lint, const char *fmt, ...) PV_PRINTF(2, 3);

struct pv_lint_check {
	const char *name;		/* "consoles" */
	const char *reason;		/* one line for people: why it matters */
	void (*run)(struct pv_lint *lint);
};

/* NULL-terminated by name. */
extern const struct pv_lint_check pv_lint_disk_checks[];	/* lint_disk.c */
extern const struct pv_lint_check pv_lint_boot_checks[];	/* lint_boot.c */
extern const struct pv_lint_check pv_lint_kernel_checks[];	/* lint_kernel.c */
extern const struct pv_lint_check pv_lint_system_checks[];	/* lint_system.c */
extern const struct pv_lint_check pv_lint_service_checks[];	/* lint_service.c */

/* Called once a check, in the tables' order; `faults` is empty for a green one. */
typedef void pv_lint_result_fn(void *ctx, const struct pv_lint_check *check, const struct pv_strv *faults);

/* Runs all checks; *ret_red is how many found faults. */
void pv_lint_run(const struct pv_image *image, pv_lint_result_fn *fn, void *ctx, size_t *ret_total, size_t *ret_red);

/* For the checks: the lines of a file without comments and blank ones, and whether one of them is `line`. */
void pv_lint_lines(const struct pv_lint *lint, const char *path, struct pv_strv *ret);
bool pv_lint_has_line(const struct pv_lint *lint, const char *path, const char *line);
/* A fault unless the file has the line. */
void pv_lint_want_line(struct pv_lint *lint, const char *path, const char *line);

/* The installed version of a package, from the image's dpkg status; NULL: not installed. The caller frees. */
char *pv_lint_package(const struct pv_lint *lint, const char *name);

/* Kernel versions: names below /lib/modules, sorted. */
void pv_lint_kernels(const struct pv_lint *lint, struct pv_strv *ret);
/* The kernel that GRUB boots by default: VERSION of /boot/vmlinuz-VERSION in grub.cfg's first entry; NULL. */
char *pv_lint_default_kernel(const struct pv_lint *lint);
/* The first "linux" line's arguments in grub.cfg, words after the kernel's path. */
void pv_lint_cmdline(const struct pv_lint *lint, struct pv_strv *ret);

#endif
