/* SPDX-License-Identifier: Apache-2.0 */
/* What this host can do: programs, memory, namespaces, KVM, Xen. Facts only; cmd_doctor.c makes sentences of them. */
#ifndef PV_HOST_H
#define PV_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct pv_host_program {
	const char *name;
	const char *package;		/* of Debian and Ubuntu */
	const char *minimum;		/* lowest version known to do; NULL: any */
	const char *use;		/* what pvimg wants it for */
	bool required;			/* a build fails without it */
	const char *version_option;	/* NULL: its version is not asked */
};
extern const struct pv_host_program pv_host_programs[];
extern const size_t pv_host_nprograms;

/* Path and version of a program; both NULL when it is not there, version NULL when it does not tell. Caller frees. */
void pv_host_program_find(const struct pv_host_program *prog, char **ret_path, char **ret_version);

/* The version of qemu-system-x86_64; PV_ERR_HOST: there is none. The caller frees. */
int pv_host_qemu_version(char **ret, struct pv_error *err) PV_MUST_CHECK;

/* The first word of text that begins with a digit, up to the first character that is no digit, letter, '.', '+',
 * '~' or '-'; NULL if none. The caller frees. */
char *pv_host_version_in(const char *text);

/* Compares the leading numbers of dotted versions ("1.0.128+nmu2" > "1.0.9"): <0, 0, >0. */
int pv_host_version_cmp(const char *a, const char *b);

/* Memory that a tmpfs may take without swapping: MemAvailable, or less where a memory cgroup of ours says so. */
int pv_host_memory(uint64_t *ret_bytes, struct pv_error *err) PV_MUST_CHECK;
/* Processors that this process may run on; 1 at least. */
unsigned pv_host_cpus(void);
/* MemAvailable in the text of /proc/meminfo, in bytes. For tests. */
int pv_host_meminfo_parse(const char *text, uint64_t *ret_bytes) PV_MUST_CHECK;

enum pv_host_kvm {
	PV_KVM_ABSENT,		/* no /dev/kvm */
	PV_KVM_DENIED,		/* this user may not open it */
	PV_KVM_SLOW,		/* opens, but a loop of 10^6 rounds in a guest has no end within 500 ms */
	PV_KVM_WORKS,
};
/* Runs a tiny guest in a child: /dev/kvm that opens is no proof (nested hosts without the extension). */
enum pv_host_kvm pv_host_kvm_probe(void);

enum pv_host_xen {
	PV_XEN_NONE,
	PV_XEN_GUEST,
	PV_XEN_DOM0,
};
enum pv_host_xen pv_host_xen(void);

/* Number in a file such as /proc/sys/user/max_user_namespaces; -1 when there is none. */
int64_t pv_host_sysctl(const char *path);

#endif
