/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg manifest: what goes with an image; pvimg check-signature: whether it is what somebody signed. */
#include <jansson.h>
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

/* Takes the object over. */
static void print_json(json_t *root)
{
	pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);

	json_decref(root);
	puts(text ? text : "{}");
}

static void print_manifest_json(const char *dir, const char *name, bool verified, bool is_signed)
{
	pv_autofree char *shown = pv_printable(dir, strlen(dir));

	print_json(json_pack("{s:s, s:s, s:s, s:b, s:b}", "schema", "pvimg.attest/1", "name", name, "path", shown,
			     "verified", verified, "signed", is_signed));
}

static void print_check_json(const char *dir, const char *signer, size_t files, const struct pv_strv *findings)
{
	pv_autofree char *shown = pv_printable(dir, strlen(dir)), *who = pv_printable(signer, strlen(signer));
	json_t *list = json_array();

	for (size_t i = 0; i < findings->n; i++)
		json_array_append_new(list, json_string(findings->v[i]));
	print_json(json_pack("{s:s, s:s, s:s, s:b, s:I, s:o}", "schema", "pvimg.signature/1", "path", shown, "signer", who,
			     "good", findings->n == 0, "files", (json_int_t)files, "findings", list));
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
	if (ctx->opts.json) {
		print_manifest_json(dir, name, verified, ctx->opts.sign != NULL);
		return 0;
	}
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
	if (ctx->opts.json)
		print_check_json(dir, signer, files, &findings);
	for (size_t i = 0; !ctx->opts.json && i < findings.n; i++)
		puts(findings.v[i]);
	if (findings.n > 0)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: the signature by %s is good, %zu of its files %s not: %s", dir,
				    signer, findings.n, findings.n == 1 ? "is" : "are", findings.v[0]);
	if (!ctx->opts.json)
		printf("%s: %zu files as signed by %s\n", dir, files, signer);
	return 0;
}
