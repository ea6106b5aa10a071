/* SPDX-License-Identifier: Apache-2.0 */
/* Which system calls target code may make: none that reach past its namespaces, none that wait on disks. */
#include "sandbox_seccomp.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "text.h"

/* Done as far as anybody in the sandbox can tell: the tree is thrown away or copied as a whole. */
static const char *const sync_calls[] = {
	"fsync", "fdatasync", "sync", "syncfs", "msync", "sync_file_range", "sync_file_range2",
};

/* Of no use to a package, and each a way to the kernel's less guarded parts. Most are refused anyway for want of
 * capabilities; the filter also keeps their code from being reached. */
static const char *const refused[] = {
	"acct", "add_key", "bpf", "delete_module", "finit_module", "init_module", "kexec_file_load", "kexec_load",
	"fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "kcmp", "lookup_dcookie", "mount", "mount_setattr",
	"move_mount", "move_pages", "migrate_pages", "nfsservctl", "open_by_handle_at",
	"open_tree", "perf_event_open", "pivot_root", "quotactl", "quotactl_fd", "reboot", "request_key", "keyctl",
	"setns", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "swapoff", "swapon", "syslog",
	"umount", "umount2", "userfaultfd", "vhangup", "iopl", "ioperm",
};

/* "Not in this kernel": their users have another way, which the filter can see. clone3 has its flags in memory. */
static const char *const unknown[] = { "clone3", "io_uring_setup", "io_uring_enter", "io_uring_register" };

static int add(scmp_filter_ctx ctx, const char *name, uint32_t action)
{
	int nr = seccomp_syscall_resolve_name(name);

	/* A name that this libseccomp does not know is one the rest of the world hardly has either. */
	if (nr == __NR_SCMP_ERROR)
		return 0;
	int rc = seccomp_rule_add(ctx, action, nr, 0);
	return rc == -EEXIST ? 0 : rc;
}

static int add_all(scmp_filter_ctx ctx, const char *const *names, size_t n, uint32_t action)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add(ctx, names[i], action);
	return rc;
}

/* Local, IPv4, IPv6 and netlink sockets are of the sandbox's own network. Others reach past it: AF_VSOCK the machine
 * this one is a guest of, AF_ALG the kernel's cipher drivers. */
static int add_socket(scmp_filter_ctx ctx)
{
	const uint32_t no = SCMP_ACT_ERRNO(EAFNOSUPPORT);
	int rc = 0;

	for (unsigned family = 0; family <= AF_NETLINK && rc == 0; family++)
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6 && family != AF_NETLINK)
			rc = seccomp_rule_add(ctx, no, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, family));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, no, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
	return rc;
}

static int add_flags(scmp_filter_ctx ctx)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	/* Typing into a terminal that pvimg's caller reads. */
	static const unsigned long typing[] = { TIOCSTI, TIOCLINUX };
	int rc;

	rc = seccomp_rule_add(ctx, no, SCMP_SYS(unshare), 1,
			      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, no, SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	for (size_t i = 0; i < PV_COUNT(typing) && rc == 0; i++)
		rc = seccomp_rule_add(ctx, no, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, typing[i]));
	return rc;
}

static int fill(scmp_filter_ctx ctx, bool sync_noop)
{
	int rc;

#if defined(__x86_64__)
	/* The same rules for 32-bit calls, else int 0x80 would walk around them. */
	rc = seccomp_arch_add(ctx, SCMP_ARCH_X86);
	if (rc == 0)
		rc = seccomp_arch_add(ctx, SCMP_ARCH_X32);
	if (rc < 0)
		return rc;
#endif
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1);
	if (rc == 0 && sync_noop)
		rc = add_all(ctx, sync_calls, PV_COUNT(sync_calls), SCMP_ACT_ERRNO(0));
	if (rc == 0)
		rc = add_all(ctx, refused, PV_COUNT(refused), SCMP_ACT_ERRNO(EPERM));
	if (rc == 0)
		rc = add_all(ctx, unknown, PV_COUNT(unknown), SCMP_ACT_ERRNO(ENOSYS));
	if (rc == 0)
		rc = add_socket(ctx);
	if (rc == 0)
		rc = add_flags(ctx);
	return rc;
}

int pv_sandbox_seccomp(bool sync_noop, struct pv_error *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	if (!ctx)
		return pv_error_set(err, PV_ERR_HOST, "cannot make a system call filter");
	int rc = fill(ctx, sync_noop);
	/* A tree of comparisons instead of a list: a tenth of the cost a call. */
	if (rc == 0)
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc < 0)
		return pv_error_errno(err, PV_ERR_HOST, -rc, "cannot load the system call filter");
	return 0;
}
