/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the sandbox's root out of detached mounts; every mount point is looked up inside the root it belongs to. */
#include "sandbox_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fsutil.h"
#include "text.h"

#define ATTR_DATA (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define ATTR_PURE (ATTR_DATA | MOUNT_ATTR_NOEXEC)

/* Looks path up below root; no link and no ".." leads out of it. -1 with errno. */
static int at_root(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(O_CLOEXEC | O_PATH | flags),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* A detached copy of what is mounted at path, with everything mounted below: the kernel hands out no part of what
 * other mounts cover. */
static int copy_tree(const char *path)
{
	return open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

static int set_attr(int mnt, uint64_t attr)
{
	struct mount_attr a = { .attr_set = attr };

	return mount_setattr(mnt, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a));
}

static int attach(int mnt, int point)
{
	return move_mount(mnt, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* A new file system, not attached yet. options: pairs of key and value up to NULL. */
static int make_fs(const char *type, const char *const *options, unsigned attr)
{
	pv_autoclose int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0)
		return -1;
	for (; *options; options += 2)
		if (fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0) < 0)
			return -1;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, attr);
}

static int make_tmpfs(const char *mode, unsigned attr)
{
	const char *const options[] = { "mode", mode, NULL };

	return make_fs("tmpfs", options, attr);
}

/* Attaches mnt at the folder `name` of root, which is made if it is not there. */
static int attach_at(int root, const char *name, int mnt)
{
	pv_autoclose int point = -1;

	if (mkdirat(root, name, 0755) < 0) {
		if (errno != EEXIST)
			return -1;
	} else if (pv_streq(name, "tmp") && fchmodat(root, name, 01777, 0) < 0) {
		return -1;	/* it stays in the tree, and packages leave an existing one as it is */
	}
	point = at_root(root, name, O_DIRECTORY);
	return point < 0 ? -1 : attach(mnt, point);
}

static int fail(const char *what, struct pv_error *err)
{
	return pv_error_errno(err, PV_ERR_HOST, errno, "sandbox: cannot set up %s", what);
}

/* --- /dev --- */

static int bind_device(int dev, const char *name, const char *source)
{
	pv_autoclose int mnt = copy_tree(source);
	pv_autoclose int point = -1;
	struct stat st;

	if (mnt < 0 || fstat(mnt, &st) < 0)
		return -1;
	if (!S_ISCHR(st.st_mode)) {
		errno = ENODEV;
		return -1;
	}
	point = openat(dev, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (point < 0 || set_attr(mnt, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC) < 0)
		return -1;
	return attach(mnt, point);
}

static int fill_dev(int dev, bool links)
{
	static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
	static const char *const symlinks[][2] = {
		{ "/proc/self/fd", "fd" }, { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
		{ "/proc/self/fd/2", "stderr" },
	};
	static const char *const pts_options[] = { "ptmxmode", "0666", "mode", "0620", "gid", "5", NULL };
	pv_autoclose int pts = -1, shm = -1;

	for (size_t i = 0; i < PV_COUNT(devices); i++) {
		pv_autofree char *source = pv_path_join("/dev", devices[i]);
		if (bind_device(dev, devices[i], source) < 0)
			return -1;
	}
	/* debootstrap makes a console and the links itself; with a console there it does not try mknod. */
	if (!links && bind_device(dev, "console", "/dev/null") < 0)
		return -1;
	for (size_t i = 0; links && i < PV_COUNT(symlinks); i++)
		if (symlinkat(symlinks[i][0], dev, symlinks[i][1]) < 0)
			return -1;
	pts = make_fs("devpts", pts_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	shm = make_tmpfs("1777", ATTR_DATA);
	if (pts < 0 || shm < 0 || attach_at(dev, "pts", pts) < 0 || attach_at(dev, "shm", shm) < 0)
		return -1;
	return symlinkat("pts/ptmx", dev, "ptmx");
}

static int mount_dev(int root, bool links, struct pv_error *err)
{
	pv_autoclose int dev = make_tmpfs("755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);

	if (dev < 0 || attach_at(root, "dev", dev) < 0 || fill_dev(dev, links) < 0)
		return fail("/dev", err);
	return 0;
}

/* --- /proc --- */

/* What tells of the host's boot, disks and devices, or acts on the whole machine. An image must not depend on it. */
static const char *const hidden[] = {
	"acpi", "asound", "bus", "cmdline", "diskstats", "driver", "fs", "iomem", "ioports", "irq", "kallsyms", "kcore",
	"key-users", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "mdstat", "modules",
	"mtrr", "partitions", "sched_debug", "scsi", "slabinfo", "swaps", "sysrq-trigger", "timer_list", "vmallocinfo",
	"xen",
};

static int hide(int proc, const char *name)
{
	pv_autoclose int point = at_root(proc, name, 0);
	pv_autoclose int cover = -1;
	struct stat st;

	if (point < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(point, &st) < 0)
		return -1;
	cover = S_ISDIR(st.st_mode) ? make_tmpfs("555", ATTR_PURE | MOUNT_ATTR_RDONLY) : copy_tree("/dev/null");
	if (cover < 0 || set_attr(cover, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC) < 0)
		return -1;
	return attach(cover, point);
}

static int mount_proc(int root, struct pv_error *err)
{
	static const char *const none[] = { NULL };
	pv_autoclose int proc = make_fs("proc", none, ATTR_PURE);
	pv_autoclose int sys = -1, point = -1;

	if (proc < 0 && errno == EPERM)
		return pv_error_set(err, PV_ERR_HOST, "sandbox: a /proc of its own is refused, because this "
				    "container covers parts of its /proc; run pvimg outside, or the container with "
				    "an open /proc");
	if (proc < 0 || attach_at(root, "proc", proc) < 0)
		return fail("/proc", err);
	point = at_root(proc, "sys", O_DIRECTORY);
	sys = point < 0 ? -1 : open_tree(point, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
					 AT_RECURSIVE);
	if (sys < 0 || set_attr(sys, MOUNT_ATTR_RDONLY) < 0 || attach(sys, point) < 0)
		return fail("/proc/sys", err);
	for (size_t i = 0; i < PV_COUNT(hidden); i++)
		if (hide(proc, hidden[i]) < 0)
			return fail("/proc", err);
	return 0;
}

/* --- the rest of a root --- */

static int mount_memory(int root, const char *name, const char *mode, unsigned attr, struct pv_error *err)
{
	pv_autoclose int mnt = make_tmpfs(mode, attr);

	if (mnt < 0 || attach_at(root, name, mnt) < 0)
		return fail(name, err);
	/* The umask does not count for root, sticky bits neither: 1777 as every distribution has it. */
	if (pv_streq(name, "run") && (mkdirat(mnt, "lock", 0755) < 0 || fchmodat(mnt, "lock", 01777, 0) < 0))
		return fail("run/lock", err);
	return 0;
}

/* debootstrap does not try to mount a /sys that has something in it. */
static int mount_sys(int root, bool occupied, struct pv_error *err)
{
	pv_autoclose int sys = make_tmpfs("755", ATTR_PURE);

	if (sys < 0 || attach_at(root, "sys", sys) < 0 || (occupied && mkdirat(sys, "power", 0755) < 0) ||
	    set_attr(sys, MOUNT_ATTR_RDONLY) < 0)
		return fail("/sys", err);
	return 0;
}

static int mount_kernel_parts(int root, bool links, struct pv_error *err)
{
	if (mount_dev(root, links, err) < 0 || mount_proc(root, err) < 0)
		return -1;
	if (mount_sys(root, !links, err) < 0 || mount_memory(root, "run", "755", ATTR_DATA, err) < 0)
		return -1;
	return mount_memory(root, "tmp", "1777", ATTR_DATA, err);
}

/* --- binds --- */

/* The part of path up to and with the component that ends at *end; *end is set to the end of the next one. */
static bool next_component(const char *path, size_t *end)
{
	size_t i = *end;

	while (path[i] == '/')
		i++;
	if (path[i] == '\0')
		return false;
	*end = i + strcspn(path + i, "/");
	return true;
}

/* Makes `name`, the last component of path, in the folder that `parent` names. */
static int make_point(int parent, const char *name, bool folder)
{
	pv_autoclose int file = -1;

	if (folder)
		return mkdirat(parent, name, 0755);
	file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	return file < 0 ? -1 : 0;
}

/* Opens the mount point, making what is missing outside of the tree (or anywhere with host_tools). -1 with errno. */
static int open_point(const struct pv_sandbox *box, int root, dev_t tree_dev, const char *path, bool folder)
{
	size_t end = 0, start = 0;
	pv_autoclose int parent = at_root(root, "/", O_DIRECTORY);

	while (parent >= 0 && next_component(path, &end)) {
		pv_autofree char *prefix = pv_xstrndup(path, end);
		size_t rest = end;
		bool last = !next_component(path, &rest);
		pv_autoclose int here = at_root(root, prefix, 0);
		struct stat st;

		if (here < 0 && errno == ENOENT) {
			if (fstat(parent, &st) < 0)
				return -1;
			errno = ENOENT;
			if (st.st_dev == tree_dev && !box->host_tools)
				return -1;
			start = strspn(prefix + start, "/") + start;
			if (make_point(parent, prefix + start, folder || !last) < 0)
				return -1;
			here = at_root(root, prefix, 0);
		}
		if (here < 0 || last)
			return pv_steal_fd(&here);
		pv_closep(&parent);
		parent = pv_steal_fd(&here);
		start = end;
	}
	return pv_steal_fd(&parent);
}

static int mount_bind(const struct pv_sandbox *box, int root, dev_t tree_dev, size_t i, int mnt, struct pv_error *err)
{
	const struct pv_sandbox_bind *bind = &box->binds[i];
	pv_autoclose int point = -1;
	struct stat st;

	if (fstat(mnt, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "sandbox: %s", bind->source);
	point = open_point(box, root, tree_dev, bind->target, S_ISDIR(st.st_mode));
	if (point < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "sandbox: no mount point %s in the tree",
				      bind->target);
	/* A device that is named is meant to be used. */
	uint64_t attr = S_ISCHR(st.st_mode) ? MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC : ATTR_DATA;
	if (set_attr(mnt, attr | (bind->writable ? 0 : MOUNT_ATTR_RDONLY)) < 0 || attach(mnt, point) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "sandbox: cannot mount %s at %s", bind->source,
				      bind->target);
	return 0;
}

/* --- the host's tools --- */

/* What programs of /usr want of /etc; nothing here tells of users or secrets. */
static const char *const host_etc[] = {
	"alternatives", "debian_version", "dpkg", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "lsb-release",
	"os-release", "perl",
};

/* Shows the host's path inside: a link as the same link, the rest read-only. What the host lacks is left out. */
static int show_host(int root, const char *path)
{
	pv_autoclose int mnt = -1, point = -1;
	char link[4096];
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			return -1;
		link[n] = '\0';
		return symlinkat(link, root, path + 1);
	}
	mnt = copy_tree(path);
	if (mnt < 0 || make_point(root, path + 1, S_ISDIR(st.st_mode)) < 0)
		return -1;
	point = at_root(root, path + 1, 0);
	if (point < 0 || set_attr(mnt, ATTR_DATA | MOUNT_ATTR_RDONLY) < 0)
		return -1;
	return attach(mnt, point);
}

static int write_small(int root, const char *path, const char *text)
{
	pv_autoclose int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : pv_write_all(fd, text, strlen(text));
}

static int fill_host_root(int root, struct pv_error *err)
{
	static const char *const folders[] = {
		"etc", "etc/apt", "etc/apt/apt.conf.d", "root", "target", "var", "var/tmp", "var/lib", "var/lib/dpkg",
	};
	static const char *const shown[] = { "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32" };

	for (size_t i = 0; i < PV_COUNT(folders); i++)
		if (mkdirat(root, folders[i], 0755) < 0)
			return fail(folders[i], err);
	for (size_t i = 0; i < PV_COUNT(shown); i++)
		if (show_host(root, shown[i]) < 0)
			return fail(shown[i], err);
	for (size_t i = 0; i < PV_COUNT(host_etc); i++) {
		pv_autofree char *path = pv_path_join("/etc", host_etc[i]);
		if (show_host(root, path) < 0)
			return fail(path, err);
	}
	if (write_small(root, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
			"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n") < 0 ||
	    write_small(root, "etc/group", "root:x:0:\nnogroup:x:65534:\n") < 0 ||
	    write_small(root, "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n") < 0)
		return fail("/etc", err);
	return 0;
}

/* --- both steps --- */

int pv_sandbox_mounts_open(const struct pv_sandbox *box, struct pv_sandbox_mounts *ret, struct pv_error *err)
{
	struct pv_sandbox_mounts m = { .box = box };

	m.point = open(box->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	m.tree = m.point < 0 ? -1 : copy_tree(box->root);
	if (m.tree < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot become a sandbox's root", box->root);
	m.binds = pv_xcalloc(box->nbinds + 1, sizeof(*m.binds));
	for (size_t i = 0; i < box->nbinds; i++) {
		m.binds[i] = copy_tree(box->binds[i].source);
		if (m.binds[i] < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot be shown in a sandbox",
					      box->binds[i].source);
	}
	*ret = m;
	return 0;
}

/* Makes the new root at m->point. *ret_root: its descriptor, to be closed by nobody. */
static int build_root(const struct pv_sandbox_mounts *m, int *ret_root, struct pv_error *err)
{
	if (set_attr(m->tree, MOUNT_ATTR_NODEV) < 0)
		return fail("the tree", err);
	if (!m->box->host_tools) {
		if (attach(m->tree, m->point) < 0)
			return fail("the tree", err);
		*ret_root = m->tree;
		return mount_kernel_parts(m->tree, true, err);
	}
	int root = make_tmpfs("755", ATTR_DATA);
	if (root < 0 || attach(root, m->point) < 0)
		return fail("/", err);
	if (fill_host_root(root, err) < 0 || mount_kernel_parts(root, true, err) < 0)
		return -1;
	if (attach_at(root, "target", m->tree) < 0)
		return fail("/target", err);
	*ret_root = root;
	return mount_kernel_parts(m->tree, false, err);
}

int pv_sandbox_mounts_enter(struct pv_sandbox_mounts *m, struct pv_error *err)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	struct stat st;
	int root = -1;

	/* Nothing of ours goes out and nothing of the host's comes in any more. */
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail("its mounts", err);
	if (fstat(m->tree, &st) < 0)
		return fail("the tree", err);
	if (build_root(m, &root, err) < 0)
		return -1;
	for (size_t i = 0; i < m->box->nbinds; i++)
		if (mount_bind(m->box, root, st.st_dev, i, m->binds[i], err) < 0)
			return -1;
	if (m->box->host_tools && mount_setattr(root, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
		return fail("/", err);
	/* The old root ends up on top of the new one and is taken off. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
	    chdir("/") < 0)
		return fail("its root", err);
	return 0;
}
