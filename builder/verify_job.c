/* SPDX-License-Identifier: Apache-2.0 */
/* One verification's files: key, scripts, seed, kernel. */
#include "verify_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "fsutil.h"
#include "image.h"
#include "seed.h"
#include "sshkey.h"

#define BOOT_FILE_MAX ((size_t)256 << 20)
#define GRUB_CFG_MAX ((size_t)1 << 20)
#define SCRIPT_MAX ((size_t)1 << 20)

/* What `ssh login.sh` must print: the guest lets the key in and sudo makes it root. */
static const char login_script[] = "test \"$(id -u)\" = 0 && echo login ok\n";

static int make_nonce(char ret[33], struct pv_error *err)
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot get random numbers");
	for (size_t i = 0; i < sizeof(bytes); i++) {
		ret[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		ret[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	ret[32] = '\0';
	return 0;
}

static int write_script(const char *dir, const char *name, const char *text, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, name);

	return pv_write_file(path, text, strlen(text), 0644, err);
}

/* scripts/guest/load with its first argument set: one file a phase, as the agent runs files. */
static int write_load(const struct pv_paths *paths, const char *dir, struct pv_error *err)
{
	static const char *const phases[] = { "fill", "watch" };
	pv_autofree char *path = pv_path_join(paths->scripts_dir, "guest/load");
	pv_autofree char *text = NULL;

	if (pv_read_file(path, SCRIPT_MAX, &text, NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < PV_COUNT(phases); i++) {
		pv_autofree char *name = pv_fmt("load-%s.sh", phases[i]);
		pv_autofree char *script = pv_fmt("set -- %s\n%s", phases[i], text);
		if (write_script(dir, name, script, err) < 0)
			return -1;
	}
	return 0;
}

/* --- kernel and initrd for PVH and PV --- */

/* The words after `command` on its first line in grub.cfg: what GRUB boots by default. NULL: none. */
static char *grub_words(const char *cfg, const char *command)
{
	size_t len = strlen(command);

	for (const char *line = cfg; line; line = strchr(line, '\n')) {
		line += strspn(line, "\n\t ");
		if (strncmp(line, command, len) == 0 && (line[len] == ' ' || line[len] == '\t')) {
			line += len + strspn(line + len, " \t");
			return pv_xstrndup(line, strcspn(line, "\n"));
		}
	}
	return NULL;
}

static int copy_out(const struct pv_image *image, const char *path, const char *dir, const char *name,
		    struct pv_error *err)
{
	size_t len = 0;
	pv_autofree char *data = pv_image_read(image, path, BOOT_FILE_MAX, &len);
	pv_autofree char *to = pv_path_join(dir, name);

	if (!data)
		return pv_error_set(err, PV_ERR_STAGE, "%s: cannot read %s in it", pv_image_path(image), path);
	return pv_write_file(to, data, len, 0644, err);
}

/* The kernel and initrd of the image's first GRUB entry; *ret: its command line, with the console of PVH and PV last. */
static int take_kernel(const char *path, const char *dir, char **ret, struct pv_error *err)
{
	pv_autoimage *image = NULL;

	if (pv_image_open(path, &image, err) < 0) {
		if (err && err->kind == PV_ERR_DIFFERS)
			err->kind = PV_ERR_STAGE;
		return pv_error_wrap(err, "kernel for PVH and PV");
	}
	pv_autofree char *cfg = pv_image_read(image, "/boot/grub/grub.cfg", GRUB_CFG_MAX, NULL);
	pv_autofree char *linux_words = cfg ? grub_words(cfg, "linux") : NULL;
	pv_autofree char *initrd_words = cfg ? grub_words(cfg, "initrd") : NULL;
	if (!linux_words || !initrd_words)
		return pv_error_set(err, PV_ERR_STAGE, "%s: its /boot/grub/grub.cfg names no kernel and initrd", path);
	size_t kernel_len = strcspn(linux_words, " \t");
	pv_autofree char *kernel = pv_xstrndup(linux_words, kernel_len);
	initrd_words[strcspn(initrd_words, " \t")] = '\0';
	if (copy_out(image, kernel, dir, "kernel", err) < 0 || copy_out(image, initrd_words, dir, "initrd", err) < 0)
		return -1;
	*ret = pv_fmt("%s console=hvc0", linux_words + kernel_len + strspn(linux_words + kernel_len, " \t"));
	return 0;
}

int pv_job_make(const struct pv_verify_request *req, const struct pv_settings *settings, const char *work_dir,
		struct pv_job *ret, struct pv_error *err)
{
	pv_autojob job = { .dir = pv_path_join(work_dir, "job"), .seed = pv_path_join(work_dir, "seed.img") };
	pv_autofree char *key = pv_path_join(job.dir, "key"), *public_key = NULL;

	if (pv_mkdirs(job.dir, 0755, err) < 0 || make_nonce(job.nonce, err) < 0 ||
	    pv_sshkey_make(key, &public_key, err) < 0 || write_script(job.dir, "login.sh", login_script, err) < 0 ||
	    write_load(req->paths, job.dir, err) < 0)
		return -1;
	if ((req->as == PV_AS_PVH || req->as == PV_AS_PV) && take_kernel(req->image, job.dir, &job.cmdline, err) < 0)
		return -1;
	const struct pv_seed_request seed = {
		.nonce = job.nonce, .public_key = public_key, .scripts_dir = req->paths->scripts_dir,
		.settings = settings, .ntp = "10.77.0.1", .measure = req->measure,
	};
	if (pv_seed_write(&seed, job.seed, err) < 0)
		return -1;
	*ret = job;
	job = (struct pv_job){ .dir = NULL };
	return 0;
}

void pv_job_done(struct pv_job *job)
{
	pv_freep(&job->dir);
	pv_freep(&job->seed);
	pv_freep(&job->cmdline);
}
