/* SPDX-License-Identifier: Apache-2.0 */
/* Runs ssh-keygen -Y for signing and checking. */
#include "sshsign.h"

#include <stdlib.h>
#include <string.h>

#include "ns.h"
#include "proc.h"

#define DEADLINE_SECONDS 300u		/* an agent may ask a person */
#define SAID_MAX ((size_t)64 << 10)

/* In the builder namespace the caller's id has no name, and ssh-keygen runs for nobody without one. */
static int be_root(void *ctx, struct pv_error *err)
{
	(void)ctx;
	return pv_ns_active() ? pv_ns_nest(err) : 0;
}

static void take_line(void *ctx, const char *line, size_t len)
{
	struct pv_str *said = ctx;

	if (said->len + len >= SAID_MAX)
		return;
	pv_str_addn(said, line, len);
	pv_str_addc(said, '\n');
}

/* What it may ask the caller for is refused at once: a passphrase is the agent's business. */
static void make_env(struct pv_strv *ret)
{
	static const char *const fixed[] = { "SSH_ASKPASS_REQUIRE=force", "SSH_ASKPASS=/bin/false", "LC_ALL=C.UTF-8", NULL };
	static const char *const passed[] = { "PATH", "SSH_AUTH_SOCK", NULL };

	pv_strv_add_all(ret, fixed);
	for (size_t i = 0; passed[i]; i++)
		if (getenv(passed[i]))
			pv_strv_addf(ret, "%s=%s", passed[i], getenv(passed[i]));
}

static int run(const char *const *argv, const char *input, size_t len, struct pv_str *ret, enum pv_error_kind kind,
	       struct pv_error *err)
{
	pv_autostrv env = PV_STRV_INIT;
	pv_autostr said = PV_STR_INIT;

	make_env(&env);
	const struct pv_proc proc = {
		.argv = argv, .env = (const char *const *)env.v, .input = input, .input_len = len, .on_stdout = take_line,
		.ctx = &said, .deadline_s = DEADLINE_SECONDS, .setup = be_root,
	};
	if (pv_proc_check(&proc, kind, err) < 0)
		return -1;
	*ret = said;
	said = (struct pv_str)PV_STR_INIT;
	return 0;
}

int pv_sshsign_make(const char *key, const char *name_space, const char *text, size_t len, struct pv_str *ret_signature,
		    struct pv_error *err)
{
	const char *const argv[] = { "ssh-keygen", "-Y", "sign", "-f", key, "-n", name_space, NULL };

	if (run(argv, text, len, ret_signature, PV_ERR_STAGE, err) < 0)
		return pv_error_wrap(err, "%s: cannot sign with it", key);
	return 0;
}

int pv_sshsign_verify(const char *signers, const char *identity, const char *name_space, const char *signature_path,
		      const char *text, size_t len, struct pv_error *err)
{
	const char *const argv[] = { "ssh-keygen", "-Y", "verify", "-f", signers, "-I", identity, "-n", name_space,
				     "-s", signature_path, NULL };
	pv_autostr said = PV_STR_INIT;

	return run(argv, text, len, &said, PV_ERR_ARCHIVE, err);
}

int pv_sshsign_check(const char *signers, const char *name_space, const char *signature_path, const char *text, size_t len,
		     char **ret_signer, struct pv_error *err)
{
	const char *const find[] = { "ssh-keygen", "-Y", "find-principals", "-s", signature_path, "-f", signers, NULL };
	pv_autostr found = PV_STR_INIT;

	if (run(find, NULL, 0, &found, PV_ERR_ARCHIVE, err) < 0)
		return pv_error_wrap(err, "no key of %s made the signature", signers);
	/* The first pattern of the first line matches itself. */
	pv_autofree char *signer = pv_xstrndup(pv_str_text(&found), strcspn(pv_str_text(&found), ",\n"));
	if (pv_sshsign_verify(signers, signer, name_space, signature_path, text, len, err) < 0)
		return pv_error_wrap(err, "the signature is not good");
	*ret_signer = pv_printable(signer, strlen(signer));
	return 0;
}
