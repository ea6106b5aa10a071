/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg manifest: what goes with an image; pvimg check-signature: whether it is what somebody signed. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "attest.h"
#include "cmd.h"
#include "fsutil.h"

/* A folder, or the NAME of an image in out/images. */
static char *folder(const struct pv_cmd_ctx *ctx, const char *operand)
{
	struct stat st;

	if (strchr(operand, '/') || (stat(operand, &st) == 0 && S_ISDIR(st.st_mode)))
		return pv_xstrdup(operand);
	return pv_path_join(ctx->paths.out_dir, operand);
}

int pv_cmd_manifest(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	pv_autofree char *dir = folder(ctx, argv[0]), *name = NULL;
	bool verified = false;

	(void)argc;
	if ((ctx->opts.sign && pv_signature_key_check(ctx->opts.sign, err) < 0) || pv_attest_name(dir, &name, err) < 0)
		return -1;
	pv_autofree char *lock = pv_fmt("%s/%s.lock", ctx->paths.recipes_dir, name);
	if (pv_attest_make(dir, lock, ctx->opts.sign, &verified, err) < 0)
		return -1;
	printf("%s: %s%s\n", dir, verified ? "with its verdict" : "not verified, which its provenance says",
	       ctx->opts.sign ? ", signed" : ", not signed");
	return 0;
}

int pv_cmd_check_signature(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	const struct pv_signature_trust trust = { ctx->opts.keyring, ctx->opts.allowed_signers, ctx->opts.identity };
	pv_autofree char *dir = folder(ctx, argv[0]), *signer = NULL;
	pv_autostrv findings = PV_STRV_INIT;
	size_t files = 0;

	(void)argc;
	if (pv_attest_check(dir, &trust, &signer, &files, &findings, err) < 0)
		return -1;
	for (size_t i = 0; i < findings.n; i++)
		puts(findings.v[i]);
	if (findings.n > 0)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: the signature by %s is good, %zu of its files %s not: %s", dir,
				    signer, findings.n, findings.n == 1 ? "is" : "are", findings.v[0]);
	printf("%s: %zu files as signed by %s\n", dir, files, signer);
	return 0;
}
