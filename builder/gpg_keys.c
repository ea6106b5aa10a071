/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and lists keyrings with gpg in a private home that is gone afterwards. */
#include "gpg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"

#define DEADLINE_S 60
#define EXPORT_MAX (8u << 20)
#define KEYS_MAX 1000

/* A GnuPG home below the work folder; removed when the scope ends. */
struct home {
	char *path;
};

static void remove_home(struct home *h)
{
	if (h->path) {
		pv_autoerror ignored = PV_ERROR_INIT;

		if (pv_rmtree(h->path, &ignored) < 0)
			pv_error_clear(&ignored);	/* the work folder goes later, with all in it */
	}
	free(h->path);
	h->path = NULL;
}

static int make_home(const char *work_dir, struct home *ret, struct pv_error *err)
{
	char *path = pv_fmt("%s/gnupg.XXXXXX", work_dir);

	if (!mkdtemp(path)) {
		pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
		free(path);
		return -1;
	}
	ret->path = path;
	return 0;
}

/* gpg with everything of the user's and the host's switched off; `more` is NULL-terminated. */
static int run_gpg(const struct home *home, const char *const *more, const void *input, size_t input_len,
		   int stdout_fd, pv_proc_line_fn *on_stdout, void *ctx, struct pv_error *err)
{
	static const char *const first[] = {
		"gpg", "--batch", "--no-tty", "--quiet", "--no-options", "--no-autostart",
		"--no-auto-check-trustdb", "--trust-model", "always", "--no-auto-key-locate",
		"--disable-dirmngr", "--homedir", NULL,
	};
	pv_autostrv argv = PV_STRV_INIT;
	pv_autoproc res = PV_PROC_RESULT_INIT;

	pv_strv_add_all(&argv, first);
	pv_strv_add(&argv, home->path);
	pv_strv_add_all(&argv, more);
	const struct pv_proc proc = {
		.argv = (const char *const *)argv.v, .input = input, .input_len = input_len,
		.stdout_fd = stdout_fd, .on_stdout = on_stdout, .ctx = ctx, .deadline_s = DEADLINE_S,
	};

	if (pv_proc_run(&proc, &res, err) < 0)
		return -1;
	if (res.exit_code >= 0 && res.exit_code <= 2)
		return 0;	/* 2 is also "some keys were not usable"; what came out is looked at */
	pv_autofree char *fate = pv_proc_fate(&res);

	return pv_error_set(err, PV_ERR_HOST, "gpg: %s", fate);
}

struct listing {
	struct pv_strv *keys;
	bool after_pub;
};

/* "pub:..." and then its "fpr:::::::::FINGERPRINT:" (GnuPG's doc/DETAILS). */
static void on_colons(void *vctx, const char *line, size_t len)
{
	struct listing *l = vctx;
	pv_autofree char *text = pv_xstrndup(line, len);
	const char *p = text;

	if (pv_starts(text, "pub:")) {
		l->after_pub = true;
		return;
	}
	if (!l->after_pub || !pv_starts(text, "fpr:"))
		return;
	l->after_pub = false;
	for (int i = 0; i < 9 && p; i++) {
		p = strchr(p, ':');
		p = p ? p + 1 : NULL;
	}
	if (!p || l->keys->n >= KEYS_MAX)
		return;
	pv_strv_take(l->keys, pv_xstrndup(p, strcspn(p, ":")));
}

/* Primary keys of key material of any kind but a keybox. */
static int list_keys(const struct home *home, const void *data, size_t len, struct pv_strv *ret,
		     struct pv_error *err)
{
	static const char *const more[] = { "--with-colons", "--show-keys", "-", NULL };
	pv_autostrv keys = PV_STRV_INIT;
	struct listing l = { .keys = &keys };

	if (run_gpg(home, more, data, len, 0, on_colons, &l, err) < 0)
		return -1;
	*ret = keys;
	keys = (struct pv_strv)PV_STRV_INIT;
	return 0;
}

/* What gpg writes to stdout, bounded. */
static int gpg_output(const struct home *home, const char *const *more, struct pv_str *ret,
		      struct pv_error *err)
{
	pv_autoclose int fd = memfd_create("gpg-output", MFD_CLOEXEC);
	pv_autofree char *buf = pv_xmalloc(EXPORT_MAX);
	ssize_t n;

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot make a file in memory");
	if (run_gpg(home, more, NULL, 0, fd, NULL, NULL, err) < 0)
		return -1;
	n = pv_pread_all(fd, buf, EXPORT_MAX, 0);
	if (n < 0 || n == EXPORT_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, "keyring: too large");
	pv_str_reset(ret);
	pv_str_addn(ret, buf, (size_t)n);
	return 0;
}

/* A keybox has "KBXf" at offset 8 (GnuPG's kbx/keybox-blob.c); gpg can only read it as a file. */
static bool is_keybox(const void *data, size_t len)
{
	return len >= 12 && memcmp((const char *)data + 8, "KBXf", 4) == 0;
}

static int from_keybox(const struct home *home, const void *data, size_t len, struct pv_str *ret,
		       struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(home->path, "given.kbx");
	const char *const more[] = { "--no-default-keyring", "--keyring", path, "--export", NULL };

	if (pv_write_file(path, data, len, 0600, err) < 0)
		return -1;
	return gpg_output(home, more, ret, err);
}

static int import_keys(const struct home *home, const void *data, size_t len, bool minimal,
		       struct pv_error *err)
{
	static const char *const clean[] = {
		"--import-options", "import-minimal,import-clean", "--import", NULL,
	};
	static const char *const plain[] = { "--import", NULL };

	return run_gpg(home, minimal ? clean : plain, data, len, 0, NULL, NULL, err);
}

static int export_keys(const struct home *home, const struct pv_strv *fingerprints, struct pv_str *ret,
		       struct pv_error *err)
{
	pv_autostrv more = PV_STRV_INIT;

	if (fingerprints && fingerprints->n > 0) {
		pv_strv_add(&more, "--export-options");
		pv_strv_add(&more, "export-minimal,export-clean");
	}
	pv_strv_add(&more, "--export");
	for (size_t i = 0; fingerprints && i < fingerprints->n; i++)
		pv_strv_add(&more, fingerprints->v[i]);
	return gpg_output(home, (const char *const *)more.v, ret, err);
}

/* gpg finds a key by the fingerprint of a subkey, too: a strange primary key that bound a pinned one as its subkey
 * would come along. So what came out is listed, and each primary key must be a pinned one. */
static int check_pinned(const struct pv_strv *keys, const struct pv_strv *fingerprints, struct pv_error *err)
{
	if (keys->n == 0) {
		pv_autofree char *names = pv_strv_join(fingerprints, ", ");

		return pv_error_set(err, PV_ERR_ARCHIVE, "holds none of the trusted keys %s", names);
	}
	for (size_t i = 0; i < keys->n; i++)
		if (!pv_strv_has(fingerprints, keys->v[i]))
			return pv_error_set(err, PV_ERR_ARCHIVE,
					    "key %s claims a trusted key as its own subkey", keys->v[i]);
	return 0;
}

static int check_fingerprints(const struct pv_strv *fingerprints, struct pv_error *err)
{
	for (size_t i = 0; fingerprints && i < fingerprints->n; i++)
		if (!pv_gpg_fingerprint_valid(fingerprints->v[i]))
			return pv_error_set(err, PV_ERR_RECIPE,
					    "trusted key %s: not 40 upper-case hex digits",
					    fingerprints->v[i]);
	return 0;
}

int pv_gpg_keyring_make(const void *data, size_t len, const struct pv_strv *fingerprints, const char *work_dir,
			const char *ret_path, struct pv_error *err)
{
	__attribute__((cleanup(remove_home))) struct home home = { NULL };
	pv_autostr given = PV_STR_INIT, out = PV_STR_INIT;
	pv_autostrv keys = PV_STRV_INIT;
	bool pinned = fingerprints && fingerprints->n > 0;

	if (check_fingerprints(fingerprints, err) < 0 || make_home(work_dir, &home, err) < 0)
		return -1;
	if (is_keybox(data, len)) {
		if (from_keybox(&home, data, len, &given, err) < 0)
			return -1;
		data = pv_str_text(&given);
		len = given.len;
	}
	if (import_keys(&home, data, len, pinned, err) < 0 || export_keys(&home, fingerprints, &out, err) < 0 ||
	    list_keys(&home, out.data, out.len, &keys, err) < 0)
		return -1;
	if (pinned && check_pinned(&keys, fingerprints, err) < 0)
		return -1;
	if (keys.n == 0)
		return pv_error_set(err, PV_ERR_ARCHIVE, "holds no OpenPGP key");
	return pv_write_file(ret_path, out.data, out.len, 0644, err);
}

int pv_gpg_keyring_list(const char *path, const char *work_dir, struct pv_strv *ret, struct pv_error *err)
{
	__attribute__((cleanup(remove_home))) struct home home = { NULL };
	pv_autofree char *data = NULL;
	size_t len;

	if (pv_read_file(path, EXPORT_MAX, &data, &len, err) < 0 || make_home(work_dir, &home, err) < 0)
		return -1;
	return list_keys(&home, data, len, ret, err);
}
