/* SPDX-License-Identifier: Apache-2.0 */
/* Checks clearsigned text with gpgv and believes only what its status lines say. */
#include "gpg.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
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

/* -- gpgv's status lines -- */

struct verdict {
	const struct pv_strv *trusted;
	/* of the signature that the lines are about */
	bool good, spoilt;
	char primary[PV_FINGERPRINT_LEN + 1];
	/* of all */
	bool fatal;			/* a BADSIG, or a message that gpgv calls damaged */
	unsigned plaintexts, valid;
	char accepted[PV_FINGERPRINT_LEN + 1];
	char untrusted[PV_FINGERPRINT_LEN + 1];	/* a good signature of a key that is not believed */
	char missing[PV_FINGERPRINT_LEN + 1];	/* a key that is not in the keyring */
	bool expired_or_revoked;
};

static void end_signature(struct verdict *v)
{
	if (v->good && !v->spoilt && v->primary[0]) {
		bool any = !v->trusted || v->trusted->n == 0;

		if (!any && !pv_strv_has(v->trusted, v->primary)) {
			memcpy(v->untrusted, v->primary, sizeof(v->untrusted));
		} else {
			v->valid++;
			if (!v->accepted[0])
				memcpy(v->accepted, v->primary, sizeof(v->accepted));
		}
	}
	v->good = v->spoilt = false;
	v->primary[0] = '\0';
}

/* VALIDSIG fpr date timestamp expires version reserved pubkey-algo hash-algo class primary-fpr (GnuPG's doc/DETAILS).
 * Hash algorithms 8, 9, 10 are SHA-256, -384, -512, 12 and 14 SHA3 (RFC 9580, 9.5); classes 00 and 01 are
 * signatures over a document. */
static void on_validsig(struct verdict *v, const char *const *word, size_t n)
{
	static const char *const hashes[] = { "8", "9", "10", "12", "14" };
	bool hash_ok = false;

	if (n < 11) {
		v->spoilt = true;
		return;
	}
	for (size_t i = 0; i < PV_COUNT(hashes); i++)
		hash_ok = hash_ok || strcmp(word[8], hashes[i]) == 0;
	if (!hash_ok || (strcmp(word[9], "00") != 0 && strcmp(word[9], "01") != 0) || v->primary[0] ||
	    !pv_gpg_fingerprint_valid(word[10])) {
		v->spoilt = true;
		return;
	}
	memcpy(v->primary, word[10], sizeof(v->primary));
}

/* ERRSIG keyid pubkey-algo hash-algo class timestamp rc fpr: rc 9 is a missing key; else an unknown algorithm or the
 * like. Old versions know no fpr. */
static void on_errsig(struct verdict *v, const char *const *word, size_t n)
{
	v->spoilt = true;
	if (n >= 7 && strcmp(word[6], "9") == 0)
		snprintf(v->missing, sizeof(v->missing), "%s",
			 n >= 8 && pv_gpg_fingerprint_valid(word[7]) ? word[7] : word[1]);
}

static void on_status(struct verdict *v, char *line)
{
	const char *word[16];
	char *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(line, " ", &save); w && n < PV_COUNT(word); w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	if (n == 0)
		return;
	if (strcmp(word[0], "NEWSIG") == 0) {
		end_signature(v);
	} else if (strcmp(word[0], "GOODSIG") == 0) {
		v->spoilt = v->spoilt || v->good;
		v->good = true;
	} else if (strcmp(word[0], "VALIDSIG") == 0) {
		on_validsig(v, word, n);
	} else if (strcmp(word[0], "EXPSIG") == 0 || strcmp(word[0], "EXPKEYSIG") == 0 ||
		   strcmp(word[0], "REVKEYSIG") == 0) {
		v->spoilt = v->expired_or_revoked = true;
	} else if (strcmp(word[0], "ERRSIG") == 0) {
		on_errsig(v, word, n);
	} else if (strcmp(word[0], "PLAINTEXT") == 0) {
		v->plaintexts++;
	} else if (strcmp(word[0], "BADSIG") == 0 || strcmp(word[0], "NODATA") == 0 ||
		   strcmp(word[0], "BADARMOR") == 0 || strcmp(word[0], "UNEXPECTED") == 0 ||
		   (strcmp(word[0], "ERROR") == 0 && n > 1 && pv_starts(word[1], "proc_pkt"))) {
		v->fatal = true;
	}
}

static int judge(const struct verdict *v, const char *keyring, struct pv_error *err)
{
	if (v->fatal || v->plaintexts != 1)
		return pv_error_set(err, PV_ERR_ARCHIVE,
				    "bad signature: the file was changed after it was signed");
	if (v->valid > 0)
		return 0;
	if (v->untrusted[0])
		return pv_error_set(err, PV_ERR_ARCHIVE,
				    "signed by key %s, which the recipe's trusted-keys do not name",
				    v->untrusted);
	if (v->expired_or_revoked)
		return pv_error_set(err, PV_ERR_ARCHIVE,
				    "signed only by keys or signatures that are expired or revoked");
	if (v->missing[0])
		return pv_error_set(err, PV_ERR_ARCHIVE,
				    "signed by key %s, which is not in %s; give the right --keyring",
				    v->missing, keyring);
	return pv_error_set(err, PV_ERR_ARCHIVE, "no signature that can be accepted");
}

/* Judges the lines of gpgv's status channel. */
static int judge_status(int fd, const struct pv_strv *trusted, const char *keyring, char **ret_fingerprint,
			struct pv_error *err)
{
	pv_autofree char *text = pv_xmalloc(STATUS_MAX + 1);
	struct verdict v = { .trusted = trusted };
	char *save = NULL;
	ssize_t n = pv_pread_all(fd, text, STATUS_MAX, 0);

	if (n < 0 || n == STATUS_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, "gpgv said too much");
	text[n] = '\0';
	if (strlen(text) != (size_t)n)
		return pv_error_set(err, PV_ERR_ARCHIVE, "gpgv: status lines with a NUL byte");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (pv_starts(line, "[GNUPG:] "))
			on_status(&v, line + strlen("[GNUPG:] "));
	end_signature(&v);
	if (judge(&v, keyring, err) < 0)
		return -1;
	*ret_fingerprint = pv_xstrdup(v.accepted);
	return 0;
}

/* -- running it -- */

static int memory_file(const char *name, int *ret, struct pv_error *err)
{
	*ret = memfd_create(name, MFD_CLOEXEC);
	return *ret < 0 ? pv_error_set(err, PV_ERR_HOST, "cannot make a file in memory") : 0;
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
	pv_autoproc res = PV_PROC_RESULT_INIT;

	if (pv_proc_run(&proc, &res, err) < 0)
		return -1;
	/* 0: all good; 1: a bad signature; 2: among others, a key that is not there. The status lines decide. */
	if (res.exit_code >= 0 && res.exit_code <= 2)
		return 0;
	pv_autofree char *fate = pv_proc_fate(&res);

	return pv_error_set(err, PV_ERR_ARCHIVE, "gpgv: %s", fate);
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
