/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a recipe: no crash, findings exactly when refused, and libcyaml never disagrees with
 * our own check. Input: the recipe, then optionally "\n====\n" and its base, then optionally the
 * same and lines for --set. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recipe.h"
#include "recipe_keys.h"
#include "sizing.h"
#include "suite.h"

#define PART "\n====\n"

struct part {
	const char *text;
	size_t len;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cuts the text before the separator off `rest`. */
static struct part cut(struct part *rest)
{
	const char *at = rest->text ? memmem(rest->text, rest->len, PART, strlen(PART)) : NULL;
	struct part first = *rest;

	if (!at) {
		*rest = (struct part){ NULL, 0 };
		return first;
	}
	first.len = (size_t)(at - rest->text);
	rest->len -= first.len + strlen(PART);
	rest->text = at + strlen(PART);
	return first;
}

static void must(int holds)
{
	if (!holds)
		abort();
}

static void check_recipe(const struct pv_recipe *r)
{
	must(pv_suite_find(r->distribution, r->suite) != NULL);
	must(r->memory >> 20 >= PV_SIZING_MIN_MIB && r->memory >> 20 <= PV_SIZING_MAX_MIB);
	must(r->memory % (1u << 20) == 0 && r->disk % (1u << 20) == 0);
	must(r->vcpus >= 1 && r->vcpus <= PV_SIZING_MAX_VCPUS);
	must(r->disk >= UINT64_C(1) << 30 && r->disk <= UINT64_C(1) << 41);
	must(r->hostname && *r->hostname && r->security && *r->security);
	for (size_t i = 0; i < r->packages.n; i++)
		must(strspn(r->packages.v[i], "abcdefghijklmnopqrstuvwxyz0123456789+.-") ==
		     strlen(r->packages.v[i]));
	for (size_t i = 0; i < r->overlays.n; i++)
		must(!strpbrk(r->overlays.v[i], "/."));
	for (size_t i = 0; i < r->noptions; i++)
		must(pv_streq(pv_recipe_option(r, r->options[i].key), r->options[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct part rest = { (const char *)data, size };
	struct part recipe = cut(&rest), base = cut(&rest), lines = cut(&rest);
	pv_autostrv sets = PV_STRV_INIT;
	pv_autofindings findings = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	pv_autorecipe r = { 0 };
	const struct pv_recipe_override over = { .sets = &sets };

	for (size_t at = 0; at < lines.len;) {
		const char *end = memchr(lines.text + at, '\n', lines.len - at);
		size_t len = end ? (size_t)(end - lines.text) - at : lines.len - at;

		pv_strv_take(&sets, pv_xstrndup(lines.text + at, len));
		at += len + 1;
	}
	int rc = pv_recipe_load_mem("fuzz", recipe.text ? recipe.text : "", recipe.len, base.text,
				    base.len, &over, &r, &findings, &err);

	if (rc == 0) {
		must(findings.n == 0);
		check_recipe(&r);
		return 0;
	}
	/* An error without findings would be libcyaml's, or a bad value that passed. */
	must(findings.n > 0 && err.kind == PV_ERR_RECIPE && !r.name);
	for (size_t i = 0; i < findings.n; i++)
		must(findings.v[i].file && *findings.v[i].text &&
		     !strchr(findings.v[i].text, '\n'));
	return 0;
}
