/* SPDX-License-Identifier: Apache-2.0 */
/* Checks clearsigned text with gpgv: the shape of the message, gpgv itself, what it wrote. */
#include "gpg.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "gpg_status.h"
#include "proc.h"

#define BEGIN_MESSAGE "-----BEGIN PGP SIGNED MESSAGE-----"
#define BEGIN_SIGNATURE "-----BEGIN PGP SIGNATURE-----"
#define END_SIGNATURE "-----END PGP SIGNATURE-----"
#define DEADLINE_S 60
#define STATUS_MAX (1u << 20)
#define NO_HOME "/dev/null/none"	/* a home that cannot exist: gpgv makes none and reads none */

bool pv_gpg_fingerprint_valid(const char *text)
{
	return strlen(text) == PV_FINGERPRINT_LEN &&
	       strspn(text, "0123456789ABCDEF") == PV_FINGERPRINT_LEN;
}

/* -- the shape of the message -- */

/* A line of text[0, len) at *pos, without newline, "\r" and blanks at its end, as OpenPGP reads armor. */
static bool next_line(const char *text, size_t len, size_t *pos, const char **ret, size_t *ret_len)
{
	const char *p = text + *pos, *nl;
	size_t n;

	if (*pos >= len)
		return false;
	nl = memchr(p, '\n', len - *pos);
	n = nl ? (size_t)(nl - p) : len - *pos;
	*pos += n + (nl != NULL);
	while (n > 0 && (p[n - 1] == '\r' || p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	*ret = p;
	*ret_len = n;
	return true;
}

static bool line_is(const char *line, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(line, text, len) == 0;
}

static int bad_shape(struct pv_error *err, const char *why)
{
	return pv_error_set(err, PV_ERR_ARCHIVE, "not a signed file: %s", why);
}

/* The armor's headers: only Hash, then an empty line. */
static int skip_headers(const char *text, size_t len, size_t *pos, struct pv_error *err)
{
	const char *line;
	size_t n;

	if (!next_line(text, len, pos, &line, &n) || !line_is(line, n, BEGIN_MESSAGE))
		return bad_shape(err, "no " BEGIN_MESSAGE " at its beginning");
	while (next_line(text, len, pos, &line, &n)) {
		if (n == 0)
			return 0;
		if (n < 6 || memcmp(line, "Hash: ", 6) != 0)
			return bad_shape(err, "an unknown armor header");
	}
	return bad_shape(err, "cut short");
}

/* One message, one signature block behind it, nothing around. ret (may be NULL) gets the text. */
static int check_shape(const char *text, size_t len, struct pv_str *ret, struct pv_error *err)
{
	enum { BODY, SIGNATURE, AFTER } where = BODY;
	const char *line;
	size_t pos = 0, n;

	if (len > 0 && memchr(text, 0, len))
		return bad_shape(err, "a NUL byte");
	if (skip_headers(text, len, &pos, err) < 0)
		return -1;
	while (next_line(text, len, &pos, &line, &n)) {
		if (where == AFTER && n > 0)
			return bad_shape(err, "text after the signature");
		if (n < 5 || memcmp(line, "-----", 5) != 0) {
			size_t dash = n >= 2 && memcmp(line, "- ", 2) == 0 ? 2 : 0;

			if (where == BODY && ret) {
				pv_str_addn(ret, line + dash, n - dash);
				pv_str_addc(ret, '\n');
			}
		} else if (where == BODY && line_is(line, n, BEGIN_SIGNATURE)) {
			where = SIGNATURE;
		} else if (where == SIGNATURE && line_is(line, n, END_SIGNATURE)) {
			where = AFTER;
		} else {
			return bad_shape(err, "more than one armored block");
		}
	}
	if (where != AFTER)
		return bad_shape(err, "no signature at its end");
	return 0;
}

int pv_gpg_unverified_text(const char *text, size_t len, struct pv_str *ret_content, struct pv_error *err)
{
	pv_autostr content = PV_STR_INIT;

	if (check_shape(text, len, &content, err) < 0)
		return -1;
	*ret_content = content;
	content = (struct pv_str)PV_STR_INIT;
	return 0;
}

/* -- running it -- */

static int memory_file(const char *name, int *ret, struct pv_error *err)
{
	*ret = memfd_create(name, MFD_CLOEXEC);
	return *ret < 0 ? pv_error_set(err, PV_ERR_HOST, "cannot make a file in memory") : 0;
}

/* What it thinks is on the status channel. */
static int run_status(const struct pv_proc *proc, struct pv_error *err)
{
	pv_autoproc res = PV_PROC_RESULT_INIT;

	if (pv_proc_run(proc, &res, err) < 0)
		return -1;
	/* 0: all good; 1: a bad signature; 2: among others, a key that is not there. The status lines decide. */
	if (res.exit_code >= 0 && res.exit_code <= 2)
		return 0;
	pv_autofree char *fate = pv_proc_fate(&res);

	return pv_error_set(err, PV_ERR_ARCHIVE, "gpgv: %s", fate);
}

static int run_gpgv(const char *text, size_t len, const char *keyring, int status_fd, int content_fd,
		    struct pv_error *err)
{
	pv_autofree char *status = pv_fmt("%d", status_fd);
	const char *const argv[] = { "gpgv", "--homedir", NO_HOME, "--status-fd", status, "--keyring", keyring,
				     "--output", "-", "-", NULL };
	const struct pv_proc proc = {
		.argv = argv, .input = text, .input_len = len, .keep_fds = &status_fd, .nkeep_fds = 1,
		.stdout_fd = content_fd, .deadline_s = DEADLINE_S,
	};
	return run_status(&proc, err);
}

static int read_status(int fd, char **ret, size_t *ret_len, struct pv_error *err)
{
	pv_autofree char *text = pv_xmalloc(STATUS_MAX + 1);
	ssize_t n = pv_pread_all(fd, text, STATUS_MAX, 0);

	if (n < 0 || n == STATUS_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, "gpgv said too much");
	text[n] = '\0';
	*ret = pv_steal(&text);
	*ret_len = (size_t)n;
	return 0;
}

static int judge_status(int fd, const struct pv_strv *trusted, const char *keyring, char **ret_fingerprint,
			struct pv_error *err)
{
	pv_autofree char *text = NULL;
	size_t len;

	return read_status(fd, &text, &len, err) < 0
		       ? -1 : pv_gpg_status_judge(text, len, trusted, keyring, ret_fingerprint, err);
}

static int judge_detached(int fd, const char *keyring, char **ret_fingerprint, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	size_t len;

	return read_status(fd, &text, &len, err) < 0
		       ? -1 : pv_gpg_status_judge_detached(text, len, keyring, ret_fingerprint, err);
}

static int read_content(int fd, size_t max, struct pv_str *ret, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	struct stat st;

	/* gpgv can only leave something out: no more than the message comes back. */
	if (fstat(fd, &st) < 0 || st.st_size < 0 || (uint64_t)st.st_size > max)
		return pv_error_set(err, PV_ERR_ARCHIVE, "gpgv wrote more than it was given");
	text = pv_xmalloc((size_t)st.st_size + 1);
	if (pv_pread_all(fd, text, (size_t)st.st_size, 0) != st.st_size)
		return pv_error_set(err, PV_ERR_STAGE, "cannot read what gpgv wrote");
	pv_str_addn(ret, text, (size_t)st.st_size);
	return 0;
}

int pv_gpg_verify_inline(const char *text, size_t len, const char *keyring_path,
			 const struct pv_strv *fingerprints, struct pv_str *ret_content, char **ret_fingerprint,
			 struct pv_error *err)
{
	pv_autoclose int status = -1;
	pv_autoclose int output = -1;
	pv_autofree char *fingerprint = NULL;
	pv_autostr content = PV_STR_INIT;

	if (keyring_path[0] != '/')
		return pv_error_set(err, PV_ERR_HOST, "keyring %s: not an absolute path", keyring_path);
	if (access(keyring_path, R_OK) < 0)
		return pv_error_set(err, PV_ERR_HOST, "keyring %s: not readable", keyring_path);
	if (check_shape(text, len, NULL, err) < 0 || memory_file("gpgv-status", &status, err) < 0 ||
	    memory_file("gpgv-output", &output, err) < 0 ||
	    run_gpgv(text, len, keyring_path, status, output, err) < 0 ||
	    judge_status(status, fingerprints, keyring_path, &fingerprint, err) < 0 ||
	    read_content(output, len, &content, err) < 0)
		return -1;
	if (ret_content) {
		*ret_content = content;
		content = (struct pv_str)PV_STR_INIT;
	}
	if (ret_fingerprint)
		*ret_fingerprint = pv_steal(&fingerprint);
	return 0;
}

int pv_gpg_verify_detached(const void *data, size_t len, const void *signature, size_t signature_len,
			   const char *keyring_path, char **ret_fingerprint, struct pv_error *err)
{
	pv_autoclose int status = -1, sig = -1;

	if (keyring_path[0] != '/')
		return pv_error_set(err, PV_ERR_HOST, "keyring %s: not an absolute path", keyring_path);
	if (memory_file("gpgv-status", &status, err) < 0 || memory_file("gpgv-signature", &sig, err) < 0)
		return -1;
	if (pv_write_all(sig, signature, signature_len) < 0 || lseek(sig, 0, SEEK_SET) < 0)
		return pv_error_set(err, PV_ERR_HOST, "cannot fill a file in memory");
	pv_autofree char *status_word = pv_fmt("%d", status), *sig_path = pv_fmt("/proc/self/fd/%d", sig);
	const char *const argv[] = { "gpgv", "--homedir", NO_HOME, "--status-fd", status_word, "--keyring", keyring_path,
				     sig_path, "-", NULL };
	const int keep[] = { status, sig };
	const struct pv_proc proc = {
		.argv = argv, .input = data, .input_len = len, .keep_fds = keep, .nkeep_fds = 2, .deadline_s = DEADLINE_S,
	};
	return run_status(&proc, err) < 0 ? -1 : judge_detached(status, keyring_path, ret_fingerprint, err);
}
