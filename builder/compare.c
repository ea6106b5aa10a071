/* SPDX-License-Identifier: Apache-2.0 */
/* Boots one image in four ways and keeps what was measured. */
#include "compare.h"

#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "proc.h"

void pv_compare_done(struct pv_compare *c)
{
	for (size_t i = 0; i < PV_COMPARE_WAYS; i++) {
		free(c->ways[i].cause);
		pv_vars_done(&c->ways[i].timeline);
		pv_vars_done(&c->ways[i].measured);
	}
	for (size_t i = 0; i < c->nmetrics; i++) {
		free(c->metrics[i].name);
		for (size_t k = 0; k < PV_COMPARE_WAYS; k++)
			free(c->metrics[i].values[k]);
	}
	free(c->metrics);
	free(c->image);
	*c = (struct pv_compare){ 0 };
}

void pv_compare_result_done(struct pv_compare_result *res)
{
	pv_compare_done(&res->compared);
	pv_freep(&res->json_path);
	pv_freep(&res->json);
	pv_freep(&res->text);
}

/* Whether the error is of this one way (no kernel to be found for PVH and PV, a driver that cannot do it); any other
 * ends the command. */
static bool of_this_way(enum pv_boot_as as, const struct pv_error *err)
{
	return as != PV_AS_PVHVM && (err->kind == PV_ERR_STAGE || err->kind == PV_ERR_HOST);
}

static int boot(const struct pv_verify_request *req, enum pv_boot_as as, struct pv_compare_way *way, char **ret_path,
		struct pv_error *err)
{
	struct pv_verify_request mine = *req;
	pv_autoverified res = { .json = NULL };
	pv_autoerror failed = PV_ERROR_INIT;

	mine.as = as;
	mine.no_load = mine.measure = true;
	pv_log_info(req->log, "compare: %u of %u: as %s", (unsigned)as + 1, PV_COMPARE_WAYS, pv_compare_way_name(as));
	if (pv_verify(&mine, &res, &failed) < 0) {
		if (!of_this_way(as, &failed))
			return pv_error_set(err, failed.kind, "%s", failed.text);
		way->cause = pv_xstrdup(failed.text);
		return 0;
	}
	way->judged = true;
	way->class = res.verdict.class;
	/* What is red beside a class that is as it should be is verify's business. */
	if (as != PV_AS_PVHVM || way->class != PV_CLASS_PVHVM)
		way->cause = pv_steal(&res.verdict.cause);
	way->timeline = res.verdict.timeline;
	res.verdict.timeline = (struct pv_vars){ 0 };
	way->measured = res.measured;
	res.measured = (struct pv_vars){ 0 };
	if (!*ret_path)
		*ret_path = pv_steal(&res.json_path);
	return 0;
}

/* Where the verdict would be: "DIR/x.raw.verdict.json" -> "DIR/x.raw.compare.json". */
static char *record_path(const char *verdict)
{
	return pv_fmt("%.*scompare.json", (int)(strlen(verdict) - strlen("verdict.json")), verdict);
}

static int compare(const struct pv_verify_request *req, struct pv_compare_result *res, struct pv_error *err)
{
	pv_autofree char *verdict = NULL;
	const char *slash = strrchr(req->image, '/');

	res->compared.image = pv_xstrdup(slash ? slash + 1 : req->image);
	for (size_t i = 0; i < PV_COMPARE_WAYS; i++)
		if (pv_proc_check_interrupt(err) < 0 ||
		    boot(req, (enum pv_boot_as)i, &res->compared.ways[i], &verdict, err) < 0)
			return -1;
	pv_compare_measure(&res->compared);
	res->json_path = record_path(verdict);
	res->json = pv_compare_json(&res->compared);
	res->text = pv_compare_text(&res->compared);
	return pv_write_file(res->json_path, res->json, strlen(res->json), 0644, err);
}

int pv_compare(const struct pv_verify_request *req, struct pv_compare_result *ret, struct pv_error *err)
{
	pv_autocompared res = { .json = NULL };

	if (compare(req, &res, err) < 0)
		return pv_error_wrap(err, "compare");
	*ret = res;
	res = (struct pv_compare_result){ .json = NULL };
	return 0;
}
