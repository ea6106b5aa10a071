/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the NoCloud disk of a verification: a user with a key, and the probe with the names of what it is to report. */
#include "seed.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define PROBE_MAX ((size_t)256 << 10)
#define USER_DATA_MAX ((size_t)1 << 20)

/* Parts of a MIME message, since that costs the guest less than a script inside YAML: its cloud-init is Python. One kind
 * of host key and no listing of keys spare it seconds; nothing of that is judged. The boot hook runs at every boot, early,
 * and only leaves the probe behind as a service of its own. */
static const char user_data_head[] =
	"Content-Type: multipart/mixed; boundary=\"pvimg\"\n"
	"MIME-Version: 1.0\n"
	"\n"
	"--pvimg\n"
	"Content-Type: text/cloud-config\n"
	"\n"
	"#cloud-config\n"
	"users:\n"
	"  - name: pvimg\n"
	"    sudo: ALL=(ALL) NOPASSWD:ALL\n"
	"    shell: /bin/sh\n"
	"    lock_passwd: true\n";
static const char user_data_middle[] =
	"ssh_genkeytypes: [ed25519]\n"
	"ssh: {emit_keys_to_console: false}\n"
	"no_ssh_fingerprints: true\n"
	"\n"
	"--pvimg\n"
	"Content-Type: text/cloud-boothook\n"
	"\n"
	"#!/bin/sh\n"
	"exec systemd-run --quiet --no-block --collect --unit=pvimg-probe --property=DefaultDependencies=no "
	"/usr/bin/perl -x \"$0\"\n";
static const char user_data_end[] =
	"\n"
	"--pvimg--\n";

static bool only(const char *text, size_t min, size_t max, const char *others)
{
	size_t n = strlen(text);

	if (n < min || n > max)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(others, *text))
			return false;
	return true;
}

static int add_names(struct pv_str *text, const char *kind, const struct pv_vars *vars, struct pv_error *err)
{
	for (size_t i = 0; i < vars->n; i++) {
		if (!only(vars->v[i].name, 1, 128, "._-"))
			return pv_error_set(err, PV_ERR_STAGE, "seed disk: %s value: not a name that can be asked for",
					    kind);
		pv_str_addf(text, "%s %s\n", kind, vars->v[i].name);
	}
	return 0;
}

/* The caller has *ret to free. */
static int make_user_data(const struct pv_seed_request *req, char **ret, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(req->scripts_dir, "guest/probe");
	pv_autofree char *probe = NULL;
	pv_autostr text = PV_STR_INIT;

	if (!only(req->nonce, 32, 32, ""))
		return pv_error_set(err, PV_ERR_STAGE, "seed disk: the nonce is not 32 hex digits");
	if (!only(req->public_key, 16, 4096, " +/=@._-"))
		return pv_error_set(err, PV_ERR_STAGE, "seed disk: the public key is not one line as ssh-keygen makes it");
	if (req->ntp && !only(req->ntp, 1, 64, ".:"))
		return pv_error_set(err, PV_ERR_STAGE, "seed disk: the time server is not an address");
	if (pv_read_file(path, PROBE_MAX, &probe, NULL, err) < 0)
		return -1;
	if (!pv_starts(probe, "#!/usr/bin/perl\n") || !pv_ends(probe, "\n__DATA__\n"))
		return pv_error_set(err, PV_ERR_STAGE, "%s: does not begin with #!/usr/bin/perl and end with __DATA__", path);
	pv_str_add(&text, user_data_head);
	pv_str_addf(&text, "    ssh_authorized_keys: [\"%s\"]\n", req->public_key);
	pv_str_add(&text, user_data_middle);
	pv_str_add(&text, probe);
	pv_str_addf(&text, "nonce %s\n", req->nonce);
	if (req->ntp)
		pv_str_addf(&text, "ntp %s\n", req->ntp);
	if (req->measure)
		pv_str_add(&text, "measure yes\n");
	if (req->settings && (add_names(&text, "sysctl", &req->settings->sysctl, err) < 0 ||
			      add_names(&text, "memcached", &req->settings->memcached, err) < 0 ||
			      add_names(&text, "apache", &req->settings->apache, err) < 0))
		return -1;
	pv_str_add(&text, user_data_end);
	if (text.len > USER_DATA_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "seed disk: %zu bytes of user-data are too many", text.len);
	*ret = pv_str_steal(&text);
	return 0;
}

/* The disk goes by its descriptor, and the caller's own mtools settings do not count. */
static int run(const char *const *argv, int fd, const char *input, struct pv_error *err)
{
	static const char *const env[] = {
		"MTOOLSRC=/dev/null", "SOURCE_DATE_EPOCH=1577836800", "TZ=UTC0", "LC_ALL=C", "MTOOLS_SKIP_CHECK=1", NULL
	};
	const struct pv_proc proc = {
		.argv = argv, .env = env, .input = input, .input_len = input ? strlen(input) : 0,
		.keep_fds = &fd, .nkeep_fds = 1, .deadline_s = 60,
	};

	return pv_proc_check(&proc, PV_ERR_STAGE, err);
}

static int fill(int fd, const char *meta_data, const char *user_data, struct pv_error *err)
{
	pv_autofree char *disk = pv_fmt("/proc/self/fd/%d", fd);
	const char *const format[] = { "mkfs.vfat", "--invariant", "-I", "-F", "16", "-s", "1", "-S", "512", "-f", "2",
				       "-M", "0xf8", "-g", "255/63", "-i", "50564947", "-n", "CIDATA", "--", disk, NULL };
	/* through stdin: a source's name and time stay out */
	const char *const meta[] = { "mcopy", "-D", "o", "-i", disk, "-", "::/meta-data", NULL };
	const char *const user[] = { "mcopy", "-D", "o", "-i", disk, "-", "::/user-data", NULL };

	if (run(format, fd, NULL, err) < 0 || run(meta, fd, meta_data, err) < 0 || run(user, fd, user_data, err) < 0)
		return pv_error_wrap(err, "seed disk");
	return 0;
}

int pv_seed_write(const struct pv_seed_request *req, const char *path, struct pv_error *err)
{
	pv_autofree char *user_data = NULL;
	pv_autofree char *meta_data = NULL;
	pv_autoclose int fd = -1;

	if (make_user_data(req, &user_data, err) < 0)
		return -1;
	meta_data = pv_fmt("instance-id: pvimg-%s\nlocal-hostname: pvimg\n", req->nonce);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (ftruncate(fd, PV_SEED_SIZE) < 0) {
		(void)pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
		(void)unlink(path);
		return -1;
	}
	if (fill(fd, meta_data, user_data, err) < 0) {
		(void)unlink(path);
		return -1;
	}
	return 0;
}
