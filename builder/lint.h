/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a finished image, without booting it. One row of a table is one check, with its reason. */
#ifndef PV_LINT_H
#define PV_LINT_H

#include "error.h"
#include "image.h"
#include "suite.h"
#include "text.h"

#define PV_LINT_STATUS "/var/lib/dpkg/status"
#define PV_LINT_STATUS_MAX ((size_t)32 << 20)

/* Where checks write what they found wrong; each word is one line. */
struct pv_lint {
	const struct pv_image *image;
	const struct pv_suite *suite;	/* of the image's os-release; NULL: unknown */
	struct pv_strv packages;	/* installed ones, "name=version", sorted */
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
extern const struct pv_lint_check pv_lint_clean_checks[];	/* lint_clean.c */
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

/* "a  b c" as words; quotes mean nothing. */
void pv_lint_words(const char *line, struct pv_strv *ret);
/* The regular files of a folder whose names end in `suffix`, as whole paths, sorted. */
void pv_lint_files(const struct pv_lint *lint, const char *dir, const char *suffix, struct pv_strv *ret);

/* The installed version of a package, from the image's dpkg status; NULL: not installed. The caller frees. */
char *pv_lint_package(const struct pv_lint *lint, const char *name);
bool pv_lint_has_package(const struct pv_lint *lint, const char *name);

/* Kernel versions: names below /lib/modules, sorted. */
void pv_lint_kernels(const struct pv_lint *lint, struct pv_strv *ret);

/* The "linux" commands of grub.cfg in its order, each "/boot/vmlinuz-VERSION root=UUID=..."; the first is what GRUB boots
 * by default. */
void pv_lint_linux_lines(const struct pv_lint *lint, struct pv_strv *ret);
/* VERSION of a path or name "vmlinuz-VERSION"; NULL: none. Points into `path`. */
const char *pv_lint_kernel_version(const char *path);

/* Is the unit wanted by the target (enabled) and there? A fault if not. */
void pv_lint_want_enabled(struct pv_lint *lint, const char *target, const char *unit);

#endif
