/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg publish --show-fingerprint URL: the certificate of a host that images go to, for a person to compare and pin. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "cmd_fingerprint.h"
#include "fingerprint.h"
#include "publish.h"
#include "url.h"

/* "https://HOST..." of the place that a target's URL names; an https URL is one itself. */
static int find_site(const char *to, char **ret, struct pv_error *err)
{
	const struct pv_publish_target *target;

	if (pv_starts(to, "https://")) {
		*ret = pv_xstrdup(to);
		return 0;
	}
	if (pv_publish_find(to, &target, err) < 0)
		return -1;
	if (target->site)
		return target->site(to, ret, err);
	pv_autofree char *shown = pv_url_redacted(to);
	return pv_error_set(err, PV_ERR_USAGE, "%s: no host with a certificate is behind that", shown);
}

/* As openssl x509 -fingerprint has it. */
static char *with_colons(const char *hex)
{
	pv_autostr s = PV_STR_INIT;

	for (size_t i = 0; hex[i]; i++) {
		if (i && i % 2 == 0)
			pv_str_addc(&s, ':');
		pv_str_addc(&s, hex[i] >= 'a' ? (char)(hex[i] - 'a' + 'A') : hex[i]);
	}
	return pv_str_steal(&s);
}

static void print_json(const struct pv_fingerprint *f)
{
	json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "schema", "pvimg.fingerprint/1", "host", f->host,
				 "sha256", f->sha256, "subject", f->subject, "issuer", f->issuer, "names", f->names, "from",
				 f->from, "until", f->until);
	pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);

	json_decref(root);
	puts(text ? text : "{}");
}

int pv_cmd_show_fingerprint(const struct pv_cmd_ctx *ctx, const char *to, struct pv_error *err)
{
	pv_autofree char *site = NULL, *sha256 = NULL;
	pv_autofingerprint f = { .host = NULL };

	if (find_site(to, &site, err) < 0 || pv_fingerprint_get(site, &f, err) < 0)
		return -1;
	if (ctx->opts.json) {
		print_json(&f);
		return 0;
	}
	sha256 = with_colons(f.sha256);
	printf("%s\n  SHA-256  %s\n  subject  %s\n  issuer   %s\n", f.host, sha256, f.subject, f.issuer);
	if (*f.names)
		printf("  names    %s\n", f.names);
	printf("  valid    %s to %s\n", f.from, f.until);
	return 0;
}
