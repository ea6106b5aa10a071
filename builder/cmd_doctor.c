/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg doctor: one line for each thing a build needs of this host, with the way to get it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "fsutil.h"
#include "host.h"
#include "ns.h"
#include "sandbox.h"

#define MIB (1024ull * 1024)
#define GIB (1024 * MIB)
/* One build's downloads and disk image; less is told, not refused. */
#define SPACE_WANTED (6 * GIB)
#define MEMORY_WANTED (2 * GIB)
/* mount_setattr(2), openat2(2) and overlay-free mounts in user namespaces. */
#define KERNEL_WANTED "5.12"

enum state {
	STATE_OK,
	STATE_NOTE,		/* works without, or only tests want it */
	STATE_MISSING,
};

static const char *const state_names[] = { "ok", "note", "missing" };

struct doctor {
	struct pv_cmd_ctx *ctx;
	json_t *checks;
	unsigned missing;
};

/* detail: what was found; fix: how to get it, NULL when nothing is to be done. */
static void tell(struct doctor *d, enum state state, const char *name, const char *detail, const char *fix)
{
	d->missing += state == STATE_MISSING;
	if (d->ctx->opts.json) {
		json_array_append_new(d->checks, json_pack("{s:s, s:s, s:s, s:s?}", "name", name, "state",
							   state_names[state], "detail", detail, "fix", fix));
		return;
	}
	printf("%-8s %-20s %s%s%s\n", state_names[state], name, detail, fix ? "; fix: " : "", fix ? fix : "");
}

static void check_program(struct doctor *d, const struct pv_host_program *prog)
{
	pv_autofree char *path = NULL, *version = NULL;
	pv_autofree char *fix = pv_fmt("apt-get install %s", prog->package);
	enum state lacking = prog->required ? STATE_MISSING : STATE_NOTE;

	pv_host_program_find(prog, &path, &version);
	if (!path) {
		pv_autofree char *text = pv_fmt("not found; it %s", prog->use);
		tell(d, lacking, prog->name, text, fix);
		return;
	}
	pv_autofree char *text = pv_fmt("%s%s%s", path, version ? " " : "", version ? version : "");
	if (prog->minimum && version && pv_host_version_cmp(version, prog->minimum) < 0) {
		pv_autofree char *old = pv_fmt("%s is older than %s", text, prog->minimum);
		tell(d, lacking, prog->name, old, fix);
		return;
	}
	tell(d, STATE_OK, prog->name, text, NULL);
}

static void check_kernel(struct doctor *d)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	if (pv_host_version_cmp(u.release, KERNEL_WANTED) < 0)
		tell(d, STATE_MISSING, "kernel", u.release, "a kernel of " KERNEL_WANTED " or newer");
	else
		tell(d, STATE_OK, "kernel", u.release, NULL);
}

/* In a child: the whole way a build goes, with nothing to do at its end. */
static int try_sandbox(struct pv_error *err)
{
	static const char *const argv[] = { "true", NULL };
	/* Any folder does: the mount is this child's own. */
	const struct pv_sandbox box = { .root = "/tmp", .host_tools = true };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 30 };

	if (pv_ns_enter(err) < 0)
		return -1;
	if (mount("pvimg", box.root, "tmpfs", 0, "size=1m,uid=0,gid=0,mode=0755") < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "sandbox: cannot mount a tmpfs");
	return pv_sandbox_check(&box, &proc, PV_ERR_HOST, err);
}

static void check_sandbox(struct doctor *d)
{
	char words[2048] = "";
	int answer[2], status = 0;

	fflush(NULL);
	pid_t pid = pipe2(answer, O_CLOEXEC) < 0 ? -1 : fork();
	if (pid < 0) {
		tell(d, STATE_MISSING, "sandbox", "cannot be tried: no process", "end some programs");
		return;
	}
	if (pid == 0) {
		pv_autoerror err = PV_ERROR_INIT;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (try_sandbox(&err) == 0)
			_exit(0);
		_exit(pv_write_all(answer[1], err.text, strnlen(err.text, sizeof(words) - 1)) < 0 ? 2 : 1);
	}
	pv_closep(&answer[1]);
	ssize_t n = read(answer[0], words, sizeof(words) - 1);
	words[n > 0 ? n : 0] = '\0';
	pv_closep(&answer[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		tell(d, STATE_OK, "sandbox", "user, mount, process and network namespaces work", NULL);
	else
		tell(d, STATE_MISSING, "sandbox", *words ? words : "ended by a signal", NULL);
}

static void check_ids(struct doctor *d)
{
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_ns_ids ids;

	if (pv_ns_ids(&ids, &err) < 0) {
		tell(d, STATE_MISSING, "subordinate ids", err.text, NULL);
		return;
	}
	pv_autofree char *text = pv_fmt("users %u-%u, groups %u-%u", ids.uid_base, ids.uid_base + PV_NS_IDS - 1,
					ids.gid_base, ids.gid_base + PV_NS_IDS - 1);
	tell(d, STATE_OK, "subordinate ids", text, NULL);
}

/* The nearest folder above path that is there: where free space counts. The caller frees. */
static char *existing_part(const char *path)
{
	pv_autofree char *p = pv_xstrdup(path);

	while (!pv_exists(p)) {
		char *slash = strrchr(p, '/');
		if (!slash || slash == p)
			return pv_xstrdup("/");
		*slash = '\0';
	}
	return pv_steal(&p);
}

static void check_space(struct doctor *d, const char *name, const char *path)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *there = existing_part(path);
	uint64_t bytes;

	if (pv_free_space(there, &bytes, &err) < 0) {
		tell(d, STATE_MISSING, name, err.text, "another folder by --cache or --out");
		return;
	}
	pv_autofree char *size = pv_size_text(bytes);
	pv_autofree char *text = pv_fmt("%s free in %s", size, path);
	bool enough = bytes >= SPACE_WANTED;
	tell(d, enough ? STATE_OK : STATE_NOTE, name, text, enough ? NULL : "make room: a build may need 6 GiB");
}

static void check_memory(struct doctor *d)
{
	pv_autoerror err = PV_ERROR_INIT;
	uint64_t bytes;

	if (pv_host_memory(&bytes, &err) < 0) {
		tell(d, STATE_NOTE, "memory", err.text, NULL);
		return;
	}
	pv_autofree char *size = pv_size_text(bytes);
	bool enough = bytes >= MEMORY_WANTED;
	pv_autofree char *text = pv_fmt("%s available%s", size,
					enough ? "" : ": trees are built on disk, which is slower");
	tell(d, enough ? STATE_OK : STATE_NOTE, "memory", text, NULL);
}

static void check_keyrings(struct doctor *d)
{
	/* Our Ubuntu recipes pin keys, our Debian recipes do not: Ubuntu packages Debian's keyring. */
	static const struct {
		const char *name, *path, *lacking, *fix;
	} rings[] = {
		{ "debian keyring", "/usr/share/keyrings/debian-archive-keyring.gpg",
		  "none: Debian recipes need --keyring or trusted-keys", "apt-get install debian-archive-keyring" },
		{ "ubuntu keyring", "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
		  "no ubuntu-keyring package: keys pinned by the recipe are used", NULL },
	};

	for (size_t i = 0; i < PV_COUNT(rings); i++) {
		bool there = pv_exists(rings[i].path);
		tell(d, there ? STATE_OK : STATE_NOTE, rings[i].name, there ? rings[i].path : rings[i].lacking,
		     there ? NULL : rings[i].fix);
	}
}

static void check_virtualization(struct doctor *d)
{
	switch (pv_host_kvm_probe()) {
	case PV_KVM_WORKS:
		tell(d, STATE_OK, "kvm", "a guest runs", NULL);
		break;
	case PV_KVM_SLOW:
		tell(d, STATE_NOTE, "kvm", "/dev/kvm opens, but guests hardly move: verify uses emulation",
		     NULL);
		break;
	case PV_KVM_DENIED:
		tell(d, STATE_NOTE, "kvm", "/dev/kvm may not be opened by this user: verify uses emulation",
		     "adduser \"$USER\" kvm");
		break;
	case PV_KVM_ABSENT:
		tell(d, STATE_NOTE, "kvm", "none: verify uses emulation", NULL);
		break;
	}
	enum pv_host_xen xen = pv_host_xen();
	tell(d, xen == PV_XEN_DOM0 ? STATE_OK : STATE_NOTE, "xen", xen == PV_XEN_DOM0 ?
	     "this is a dom0: verify boots images under its Xen" :
	     xen == PV_XEN_GUEST ? "this is a guest of Xen: verify runs a Xen of its own inside QEMU" :
	     "none: verify runs Xen inside QEMU", NULL);
}

int pv_cmd_doctor(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	struct doctor d = { .ctx = ctx, .checks = json_array() };

	(void)argc, (void)argv;
	check_kernel(&d);
	for (size_t i = 0; i < pv_host_nprograms; i++)
		check_program(&d, &pv_host_programs[i]);
	check_ids(&d);
	check_sandbox(&d);
	check_memory(&d);
	check_space(&d, "cache space", ctx->paths.cache_dir);
	check_space(&d, "output space", ctx->paths.out_dir);
	check_keyrings(&d);
	check_virtualization(&d);
	if (ctx->opts.json) {
		json_t *all = json_pack("{s:b, s:O}", "ok", d.missing == 0, "checks", d.checks);
		pv_autofree char *text = json_dumps(all, JSON_INDENT(1));
		puts(text ? text : "{}");
		json_decref(all);
	}
	json_decref(d.checks);
	if (d.missing == 0)
		return 0;
	return pv_error_set(err, PV_ERR_HOST, "this host lacks %u thing%s that a build needs; see above", d.missing,
			    d.missing == 1 ? "" : "s");
}
