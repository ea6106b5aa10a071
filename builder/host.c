/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of this host: programs and their versions, memory that may be used, Xen. */
#include "host.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

enum { SMALL_FILE = 1 << 16, VERSION_DEADLINE_S = 10 };

/* Minimum: what the tests of this project have run with, or the first version with the option that is used. */
const struct pv_host_program pv_host_programs[] = {
	{ "newuidmap", "uidmap", NULL, "maps subordinate ids", true, NULL },
	{ "newgidmap", "uidmap", NULL, "maps subordinate ids", true, NULL },
	{ "debootstrap", "debootstrap", "1.0.118", "makes the base system", true, "--version" },
	{ "gpgv", "gpgv", "2.2", "checks the archive's signature", true, "--version" },
	{ "gpg", "gpg", "2.2", "keeps the pinned keys of a keyring, signs the planned archive", true, "--version" },
	{ "gpg-agent", "gpg-agent", "2.2", "makes the key of the planned archive", true, "--version" },
	{ "apt-get", "apt", "2.0", "resolves the packages", true, "--version" },
	{ "dpkg-deb", "dpkg", "1.19", "unpacks packages for debootstrap", true, "--version" },
	{ "tar", "tar", "1.29", "unpacks packages for debootstrap", true, "--version" },
	{ "mke2fs", "e2fsprogs", NULL, "makes the root file system", true, NULL },
	{ "mkfs.vfat", "dosfstools", NULL, "makes the EFI system partition", true, NULL },
	{ "mcopy", "mtools", "4.0", "fills the EFI system partition", true, "--version" },
	{ "qemu-system-x86_64", "qemu-system-x86", "5.2", "boots images in the tests", false, "--version" },
	{ "mmdebstrap", "mmdebstrap", "1.0", "is what make bench compares with", false, "--version" },
	{ "guestfish", "libguestfs-tools", "1.44", "reads images in the tests", false, "--version" },
};
const size_t pv_host_nprograms = PV_COUNT(pv_host_programs);

char *pv_host_version_in(const char *text)
{
	const char *p = text;

	while (*p) {
		bool starts_word = p == text || strchr(" \t\n(", p[-1]) != NULL;
		if (starts_word && *p >= '0' && *p <= '9')
			return pv_xstrndup(p, strspn(p, "0123456789abcdefghijklmnopqrstuvwxyz"
						     "ABCDEFGHIJKLMNOPQRSTUVWXYZ.+~-"));
		p++;
	}
	return NULL;
}

int pv_host_version_cmp(const char *a, const char *b)
{
	for (;;) {
		char *end_a, *end_b;
		unsigned long x = strtoul(a, &end_a, 10), y = strtoul(b, &end_b, 10);

		if (x != y)
			return x < y ? -1 : 1;
		bool more_a = *end_a == '.' && end_a[1] >= '0' && end_a[1] <= '9';
		bool more_b = *end_b == '.' && end_b[1] >= '0' && end_b[1] <= '9';
		if (!more_a && !more_b)
			return 0;
		/* "2.2" and "2.2.0" are the same */
		a = more_a ? end_a + 1 : "0";
		b = more_b ? end_b + 1 : "0";
	}
}

struct words {
	struct pv_str text;
};

static void take_words(void *ctx, const char *line, size_t len)
{
	struct words *w = ctx;

	if (w->text.len < SMALL_FILE) {
		pv_str_addn(&w->text, line, len);
		pv_str_addc(&w->text, '\n');
	}
}

void pv_host_program_find(const struct pv_host_program *prog, char **ret_path, char **ret_version)
{
	char *path = pv_proc_which(prog->name);
	struct words w = { PV_STR_INIT };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	*ret_path = path;
	*ret_version = NULL;
	if (!path || !prog->version_option)
		return;
	const char *const argv[] = { path, prog->version_option, NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = VERSION_DEADLINE_S, .on_stdout = take_words,
				      .ctx = &w };
	if (pv_proc_run(&proc, &res, NULL) == 0 && res.exit_code == 0)
		*ret_version = pv_host_version_in(pv_str_text(&w.text));
	pv_str_done(&w.text);
}

int pv_host_qemu_version(char **ret, struct pv_error *err)
{
	static const char name[] = "qemu-system-x86_64";

	for (size_t i = 0; i < pv_host_nprograms; i++) {
		pv_autofree char *path = NULL;
		if (!pv_streq(pv_host_programs[i].name, name))
			continue;
		pv_host_program_find(&pv_host_programs[i], &path, ret);
		if (*ret)
			return 0;
		if (path)
			return pv_error_set(err, PV_ERR_HOST, "%s: does not tell its version", path);
	}
	return pv_error_set(err, PV_ERR_HOST, "%s: not found; install qemu-system-x86", name);
}

int pv_host_meminfo_parse(const char *text, uint64_t *ret_bytes)
{
	static const char key[] = "MemAvailable:";
	const char *p = strstr(text, key);
	uint64_t kib;

	if (!p || (p != text && p[-1] != '\n'))
		return -1;
	p += strlen(key);
	p += strspn(p, " \t");
	pv_autofree char *number = pv_xstrndup(p, strspn(p, "0123456789"));
	if (!pv_starts(p + strlen(number), " kB\n") || pv_parse_u64(number, 0, UINT64_MAX / 1024, &kib) < 0)
		return -1;
	*ret_bytes = kib * 1024;
	return 0;
}

int64_t pv_host_sysctl(const char *path)
{
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	uint64_t value;
	/* The kernel hands out a setting in one read only. */
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return pv_parse_u64(text, 0, INT64_MAX, &value) < 0 ? -1 : (int64_t)value;
}

/* What a memory cgroup (v2) leaves: the least of limit minus usage on the way up. */
static void apply_cgroup(const char *path, uint64_t *bytes)
{
	pv_autofree char *dir = pv_xstrdup(path);

	for (;;) {
		pv_autofree char *max_path = pv_fmt("/sys/fs/cgroup%s/memory.max", dir);
		pv_autofree char *used_path = pv_fmt("/sys/fs/cgroup%s/memory.current", dir);
		int64_t max = pv_host_sysctl(max_path), used = pv_host_sysctl(used_path);

		/* "max" is no number: no limit here */
		if (max >= 0 && used >= 0) {
			uint64_t left = max > used ? (uint64_t)(max - used) : 0;
			*bytes = left < *bytes ? left : *bytes;
		}
		char *slash = strrchr(dir, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

int pv_host_memory(uint64_t *ret_bytes, struct pv_error *err)
{
	pv_autofree char *meminfo = NULL, *cgroup = NULL;
	uint64_t bytes;

	if (pv_read_file("/proc/meminfo", SMALL_FILE, &meminfo, NULL, err) < 0)
		return -1;
	if (pv_host_meminfo_parse(meminfo, &bytes) < 0)
		return pv_error_set(err, PV_ERR_HOST, "/proc/meminfo: no MemAvailable");
	if (pv_read_file("/proc/self/cgroup", SMALL_FILE, &cgroup, NULL, NULL) == 0 && pv_starts(cgroup, "0::/")) {
		char *path = cgroup + strlen("0::");
		path[strcspn(path, "\n")] = '\0';
		apply_cgroup(path, &bytes);
	}
	*ret_bytes = bytes;
	return 0;
}

unsigned pv_host_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > 0 ? (unsigned)n : 1;
}

enum pv_host_xen pv_host_xen(void)
{
	pv_autofree char *caps = NULL, *type = NULL;

	if (pv_read_file("/proc/xen/capabilities", SMALL_FILE, &caps, NULL, NULL) == 0 && strstr(caps, "control_d"))
		return PV_XEN_DOM0;
	if (pv_read_file("/sys/hypervisor/type", SMALL_FILE, &type, NULL, NULL) == 0 && pv_starts(type, "xen"))
		return PV_XEN_GUEST;
	return PV_XEN_NONE;
}
