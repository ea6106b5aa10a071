/* SPDX-License-Identifier: Apache-2.0 */
/* What hostile target code may try: see attack.h. */
#include "attack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "text.h"

#define CHECK(x) do { \
	if (!(x)) { \
		fprintf(stderr, "%s:%d: not so inside: %s (errno %d %s)\n", __FILE__, __LINE__, #x, errno, \
			strerror(errno)); \
		return 1; \
	} \
} while (0)

#define REFUSED(call, number) CHECK((call) < 0 && errno == (number))

static int ids(char **argv)
{
	FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned a, b, c;
	uid_t caller = (uid_t)strtoul(argv[0], NULL, 10);

	CHECK(getuid() == 0 && geteuid() == 0 && getgid() == 0 && getgroups(0, NULL) == 0);
	CHECK(f && fscanf(f, "%u %u %u", &a, &b, &c) == 3 && a == 0 && c == 65536);
	CHECK(fscanf(f, "%u", &a) == EOF);
	fclose(f);
	/* the caller, as the builder namespace calls them and as the host does */
	REFUSED(setresuid(65536, 65536, 65536), EINVAL);
	REFUSED(setresgid(65536, 65536, 65536), EINVAL);
	if (caller >= 65536)
		REFUSED(setresuid(caller, caller, caller), EINVAL);
	REFUSED(chown("/", 65536, 0), EINVAL);
	CHECK(setgroups(1, &(gid_t){ 42 }) == 0);
	CHECK(setresgid(33, 33, 33) == 0 && setresuid(33, 33, 33) == 0);
	return 0;
}

/* argv: the host's port and the name of its abstract socket */
static int network(char **argv)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(argv[0], NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	int tcp = socket(AF_INET, SOCK_STREAM, 0), un = socket(AF_UNIX, SOCK_STREAM, 0);
	struct ifaddrs *all;
	DIR *net;

	CHECK(tcp >= 0 && un >= 0);
	REFUSED(connect(tcp, (struct sockaddr *)&to, sizeof(to)), ECONNREFUSED);
	to.sin_addr.s_addr = htonl(0x01020304);
	REFUSED(connect(tcp, (struct sockaddr *)&to, sizeof(to)), ENETUNREACH);
	snprintf(local.sun_path + 1, sizeof(local.sun_path) - 1, "%s", argv[1]);
	REFUSED(connect(un, (struct sockaddr *)&local, (socklen_t)(sizeof(sa_family_t) + 1 + strlen(argv[1]))),
		ECONNREFUSED);
	/* 40: AF_VSOCK, to the machine this one is a guest of; 38: AF_ALG */
	REFUSED(socket(40, SOCK_STREAM, 0), EAFNOSUPPORT);
	REFUSED(socket(38, SOCK_SEQPACKET, 0), EAFNOSUPPORT);
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
	CHECK(getifaddrs(&all) == 0);
	for (const struct ifaddrs *i = all; i; i = i->ifa_next)
		CHECK(strcmp(i->ifa_name, "lo") == 0 && (i->ifa_flags & IFF_UP));
	freeifaddrs(all);
	/* The host's MAC addresses are in /sys. */
	net = opendir("/sys");
	CHECK(net != NULL);
	for (const struct dirent *de; (de = readdir(net)); )
		CHECK(de->d_name[0] == '.');
	closedir(net);
	REFUSED(open("/sys/x", O_CREAT | O_WRONLY, 0600), EROFS);
	return 0;
}

/* argv: a process and a file of the caller's */
static int host(char **argv)
{
	pid_t pid = (pid_t)strtol(argv[0], NULL, 10);
	char name[256];
	unsigned processes = 0;
	struct statvfs vfs;
	DIR *proc = opendir("/proc");

	/* Not its owner; and if it were, not writable. */
	REFUSED(open("/proc/sys/kernel/core_pattern", O_WRONLY), EACCES);
	REFUSED(open("/proc/sys/vm/drop_caches", O_WRONLY), EACCES);
	CHECK(statvfs("/proc/sys", &vfs) == 0 && (vfs.f_flag & ST_RDONLY));
	REFUSED(open(argv[1], O_RDONLY), ENOENT);
	snprintf(name, sizeof(name), "/proc/1/root%s", argv[1]);
	REFUSED(open(name, O_RDONLY), EACCES);
	REFUSED(open("/proc/1/environ", O_RDONLY), EACCES);
	REFUSED(open("/proc/1/mem", O_RDWR), EACCES);
	CHECK(proc != NULL);
	for (const struct dirent *de; (de = readdir(proc)); )
		processes += de->d_name[0] >= '0' && de->d_name[0] <= '9';
	closedir(proc);
	CHECK(processes == 2);
	if (pid > 10)
		REFUSED(kill(pid, 0), ESRCH);
	/* pid 1 takes no signal from inside */
	CHECK(kill(1, SIGKILL) == 0);
	REFUSED(open("/dev/tty", O_RDWR), ENXIO);
	CHECK(gethostname(name, sizeof(name)) == 0 && strcmp(name, "localhost") == 0);
	CHECK(access("/proc/cmdline", R_OK) == 0);
	int fd = open("/proc/cmdline", O_RDONLY);
	CHECK(fd >= 0 && read(fd, name, 1) == 0 && close(fd) == 0);
	for (fd = 3; fd < 1024; fd++)
		CHECK(fcntl(fd, F_GETFD) < 0);
	return 0;
}

static int kernel(char **argv)
{
	(void)argv;
	REFUSED(mknod("/tmp/null", S_IFCHR | 0666, (1 << 8) + 3), EPERM);
	CHECK(mkfifo("/tmp/fifo", 0600) == 0);
	REFUSED(mount("t", "/tmp", "tmpfs", 0, NULL), EPERM);
	REFUSED(umount2("/proc/cmdline", MNT_DETACH), EPERM);
	REFUSED(mount("none", "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
	REFUSED(unshare(CLONE_NEWUSER), EPERM);
	REFUSED(unshare(CLONE_NEWNS), EPERM);
	REFUSED((int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM);
	REFUSED((int)syscall(SYS_clone3, NULL, 0), ENOSYS);
	REFUSED((int)syscall(SYS_bpf, 0, NULL, 0), EPERM);
	REFUSED((int)syscall(SYS_keyctl, 0, -3, 1), EPERM);
	REFUSED((int)syscall(SYS_io_uring_setup, 1, NULL), ENOSYS);
	REFUSED((int)syscall(SYS_userfaultfd, 0), EPERM);
	REFUSED(ioctl(0, TIOCSTI, "x"), EPERM);
	REFUSED(sethostname("x", 1), EPERM);
	return 0;
}

/* fsync(-1) fails only where it is looked at. */
static int sync_calls(char **argv)
{
	bool real = strcmp(argv[0], "real") == 0;

	CHECK((fsync(-1) == 0) == !real);
	CHECK((fdatasync(-1) == 0) == !real);
	CHECK((syncfs(-1) == 0) == !real);
	CHECK((sync_file_range(-1, 0, 0, 0) == 0) == !real);
#ifdef __x86_64__
	long rc;
	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(118L), "b"(-1L) : "memory");	/* 32-bit fsync */
	CHECK(real || rc == 0);
	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(21L), "b"(0L) : "memory");	/* 32-bit mount */
	CHECK(rc == -EPERM || rc == -ENOSYS);
#endif
	return 0;
}

static int write_file(char **argv)
{
	int fd = open(argv[0], O_CREAT | O_WRONLY | O_TRUNC, 0644);

	CHECK(fd >= 0 && write(fd, "inside\n", 7) == 7 && close(fd) == 0);
	CHECK(chown(argv[0], 0, 42) == 0);
	return 0;
}

static int read_file(char **argv)
{
	char text[64] = "";
	int fd = open(argv[0], O_RDONLY);

	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	CHECK(strcmp(text, argv[1]) == 0);
	REFUSED(open(argv[0], O_WRONLY), EROFS);
	return 0;
}

/* The way root leaves a chroot, from /target back to the folder that host_tools shows as /. */
static int escape(char **argv)
{
	(void)argv;
	CHECK(chroot("/target") == 0 && chdir("/") == 0);
	CHECK(access("/target", F_OK) < 0);
	int root = open("/", O_RDONLY | O_DIRECTORY);
	CHECK(mkdir("/tmp/deeper", 0700) == 0 && chroot("/tmp/deeper") == 0 && fchdir(root) == 0);
	for (int i = 0; i < 64; i++)
		CHECK(chdir("..") == 0);
	CHECK(chroot(".") == 0 && access("/target", F_OK) == 0);
	REFUSED(open("/etc/passwd", O_WRONLY), EROFS);
	REFUSED(open("/usr/bin/x", O_CREAT | O_WRONLY, 0600), EROFS);
	REFUSED(mkdir("/x", 0700), EROFS);
	REFUSED(open("/etc/shadow", O_RDONLY), ENOENT);
	REFUSED(access("/home", F_OK), ENOENT);
	REFUSED(open(argv[0], O_RDONLY), ENOENT);
	return 0;
}

/* A version 2 file capability, as setcap(8) writes it: cap_net_raw=ep. */
static int file_capability(char **argv)
{
	static const unsigned char cap[20] = { 1, 0, 0, 2, 0, 0x20 };

	CHECK(setxattr(argv[0], "security.capability", cap, sizeof(cap), 0) == 0);
	return 0;
}

/* Leaves a daemon behind that holds a lock on argv[0] and ends for no signal; argv[1] "stay": stays itself too. */
static int daemon_lock(char **argv)
{
	int up[2];
	char c;

	CHECK(pipe(up) == 0);
	if (fork() == 0) {
		setsid();
		if (fork() != 0)
			_exit(0);
		for (int s = 1; s < NSIG; s++)
			signal(s, SIG_IGN);
		int fd = open(argv[0], O_CREAT | O_RDWR, 0644);
		if (fd < 0 || flock(fd, LOCK_EX) < 0 || write(fd, "l", 1) != 1 || write(up[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(up[1]);
	CHECK(read(up[0], &c, 1) == 1);
	if (strcmp(argv[1], "stay") == 0)
		for (;;)
			pause();
	return 0;
}

static int end_by(char **argv)
{
	int number = (int)strtol(argv[1], NULL, 10);

	if (strcmp(argv[0], "signal") == 0) {
		signal(number, SIG_DFL);	/* sanitizers take some for themselves */
		kill(getpid(), number);
	}
	_exit(number);
}

int attack(int argc, char **argv)
{
	static const struct {
		const char *word;
		int operands;
		int (*fn)(char **argv);
	} words[] = {
		{ "ids", 1, ids }, { "network", 2, network }, { "host", 2, host }, { "kernel", 0, kernel },
		{ "sync", 1, sync_calls }, { "write", 1, write_file }, { "read", 2, read_file }, { "escape", 1, escape },
		{ "capability", 1, file_capability }, { "daemon", 2, daemon_lock }, { "end", 2, end_by },
	};

	for (size_t i = 0; argc > 1 && i < PV_COUNT(words); i++)
		if (strcmp(argv[1], words[i].word) == 0 && argc == 2 + words[i].operands) {
			int rc = words[i].fn(argv + 2);
			fflush(NULL);
			_exit(rc);	/* no leak check: nothing here has time for it */
		}
	return 2;
}
