/* SPDX-License-Identifier: Apache-2.0 */
/* Reads gpgv's status lines and decides by them alone. */
#include "gpg_status.h"

#include <stdio.h>
#include <string.h>

#include "gpg.h"

struct verdict {
	const struct pv_strv *trusted;
	/* of the signature that the lines are about */
	bool good, spoilt;
	char primary[PV_FINGERPRINT_LEN + 1];
	/* of all */
	bool fatal;			/* a BADSIG, or a message that gpgv calls damaged */
	unsigned plaintexts, valid;
	unsigned messages;		/* texts that there should be: none beside a detached signature */
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
	if (v->fatal || v->plaintexts != v->messages)
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

static int judge_text(char *text, size_t len, unsigned messages, const struct pv_strv *trusted, const char *keyring,
		      char **ret_fingerprint, struct pv_error *err)
{
	struct verdict v = { .trusted = trusted, .messages = messages };
	char *save = NULL;

	if (strlen(text) != len)
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

int pv_gpg_status_judge(char *text, size_t len, const struct pv_strv *trusted, const char *keyring, char **ret_fingerprint,
			struct pv_error *err)
{
	return judge_text(text, len, 1, trusted, keyring, ret_fingerprint, err);
}

int pv_gpg_status_judge_detached(char *text, size_t len, const char *keyring, char **ret_fingerprint, struct pv_error *err)
{
	return judge_text(text, len, 0, NULL, keyring, ret_fingerprint, err);
}
