/* SPDX-License-Identifier: Apache-2.0 */
/* Compares what two builds made, artifact by artifact, and writes down what was seen. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "fsutil.h"
#include "imgdiff.h"
#include "reproduce_priv.h"

#define REPORT_MAX ((size_t)64 << 20)
#define SHOWN 40u			/* differences that people see; JSON has more */
#define LISTED 2000u

struct judging {
	const struct pv_reproduce_request *req;
	const struct pv_rebuild *builds;
	json_t *reports[2];
	json_t *artifacts, *differences;
	struct pv_str text;
	char *cause;			/* of the first difference */
	size_t artifacts_n, differ;
};

static json_t *read_report(const struct pv_rebuild *b, const char *name, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("%s/%s/report.json", b->out, name), *text = NULL;

	if (pv_read_file(path, REPORT_MAX, &text, NULL, err) < 0)
		return NULL;
	json_t *report = json_loads(text, 0, NULL);
	if (!json_is_array(json_object_get(report, "artifacts"))) {
		json_decref(report);
		pv_error_set(err, PV_ERR_STAGE, "%s: no list of artifacts in it", path);
		return NULL;
	}
	return report;
}

static const json_t *find_artifact(const json_t *report, const char *file)
{
	const json_t *list = json_object_get(report, "artifacts");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (pv_streq(json_string_value(json_object_get(json_array_get(list, i), "file")), file))
			return json_array_get(list, i);
	return NULL;
}

/* As the report says it: a disk's is that of its chunks. */
static const char *digest_of(const json_t *artifact)
{
	const char *digest = json_string_value(json_object_get(artifact, "sha256"));

	return digest ? digest : json_string_value(json_object_get(artifact, "chunks_sha256"));
}

static json_t *digest_json(const json_t *artifact)
{
	const char *digest = digest_of(artifact);

	return digest ? json_string(digest) : json_null();
}

static void note_cause(struct judging *j, const char *words)
{
	if (!j->cause)
		j->cause = pv_xstrdup(words);
}

static void note_plain(struct judging *j, const char *file, const char *words)
{
	json_array_append_new(j->differences,
			      json_pack("{s:s, s:s, s:s, s:n, s:n, s:i, s:s, s:s, s:s}", "file", file, "kind", "bytes", "where",
					words, "path", "offset", "count", 0, "first", "", "second", "", "writer",
					"stage image"));
	pv_str_addf(&j->text, "  %s\n", words);
	note_cause(j, words);
}

static void note_items(struct judging *j, const char *file, const struct pv_imgdiff *diff)
{
	json_t *list = pv_imgdiff_json(diff, file, LISTED);

	for (size_t i = 0; i < diff->n && i < SHOWN; i++) {
		pv_autofree char *line = pv_imgdiff_text(&diff->v[i]);
		pv_str_addf(&j->text, "  %s\n", line);
	}
	if (diff->total > SHOWN)
		pv_str_addf(&j->text, "  and %llu more\n", (unsigned long long)(diff->total - SHOWN));
	json_array_extend(j->differences, list);
	json_decref(list);
	/* files say more than tables and structures */
	for (size_t i = 0; i < diff->n && !j->cause; i++)
		if (diff->v[i].path) {
			pv_autofree char *line = pv_imgdiff_text(&diff->v[i]);
			note_cause(j, line);
		}
	if (diff->n && !j->cause) {
		pv_autofree char *line = pv_imgdiff_text(&diff->v[0]);
		note_cause(j, line);
	}
}

static int look_into_image(struct judging *j, const char *file, const char *paths[2], struct pv_error *err)
{
	pv_autoimage *first = NULL, *second = NULL;
	pv_autoimgdiff diff = { 0 };
	const struct pv_imgdiff_options options = {
		.exact = true, .overlays_dir = j->req->paths->overlays_dir, .overlays = &j->req->recipe->overlays,
	};

	if (pv_image_open(paths[0], &first, err) < 0 || pv_image_open(paths[1], &second, err) < 0 ||
	    pv_imgdiff(first, second, &options, &diff, err) < 0)
		return -1;
	note_items(j, file, &diff);
	return 0;
}

/* The files themselves are compared, not what the reports say of them. */
static int judge_artifact(struct judging *j, const char *file, struct pv_error *err)
{
	const json_t *a = find_artifact(j->reports[0], file), *b = find_artifact(j->reports[1], file);
	const char *name = j->req->recipe->name;
	pv_autofree char *first = pv_fmt("%s/%s/%s", j->builds[0].out, name, file);
	pv_autofree char *second = pv_fmt("%s/%s/%s", j->builds[1].out, name, file);
	const char *paths[2] = { first, second };
	pv_autofree char *words = NULL;
	bool equal = a && b;

	if (!equal)
		words = pv_fmt("%s: only the %s build made it", file, a ? "first" : "second");
	else if (pv_imgdiff_files(first, second, file, &words, err) < 0)
		return -1;
	equal = !words;
	json_array_append_new(j->artifacts, json_pack("{s:s, s:b, s:o, s:o}", "file", file, "equal", equal, "first",
						      digest_json(a), "second", digest_json(b)));
	j->artifacts_n++;
	j->differ += !equal;
	const char *digest = equal ? digest_of(a) : NULL;
	pv_str_addf(&j->text, "%s  %s  %s\n", equal ? "equal    " : "DIFFERENT", file, digest ? digest : "");
	if (equal)
		return 0;
	if (a && b && pv_ends(file, ".raw"))
		return look_into_image(j, file, paths, err);
	note_plain(j, file, words);
	return 0;
}

static bool safe_name(const char *file)
{
	return file && *file && *file != '.' && !strchr(file, '/');
}

static int judge_all(struct judging *j, struct pv_error *err)
{
	for (unsigned side = 0; side < 2; side++) {
		const json_t *list = json_object_get(j->reports[side], "artifacts");
		for (size_t i = 0; i < json_array_size(list); i++) {
			const char *file = json_string_value(json_object_get(json_array_get(list, i), "file"));
			if (!safe_name(file) || (side == 1 && find_artifact(j->reports[0], file)))
				continue;
			if (judge_artifact(j, file, err) < 0)
				return -1;
		}
	}
	if (j->artifacts_n == 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: the builds made no artifact", j->req->recipe->name);
	return 0;
}

static json_t *conditions_json(const struct pv_conditions *conditions, bool varied)
{
	json_t *list = json_array();

	for (size_t i = 0; i < conditions->n; i++) {
		const struct pv_condition *c = &conditions->v[i];
		if (varied && c->first)
			json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "what", c->what, "first", c->first, "second",
							      c->second));
		else if (!varied && c->why)
			json_array_append_new(list, json_pack("{s:s, s:s}", "what", c->what, "why", c->why));
	}
	return list;
}

static json_t *builds_json(const struct pv_rebuild builds[2])
{
	json_t *list = json_array();

	for (unsigned i = 0; i < 2; i++)
		json_array_append_new(list, json_pack("{s:I, s:I}", "began", (json_int_t)builds[i].began, "wall_ms",
						      (json_int_t)builds[i].wall_ms));
	return list;
}

static void conditions_text(const struct pv_conditions *conditions, struct pv_str *text)
{
	for (size_t i = 0; i < conditions->n; i++)
		if (conditions->v[i].first)
			pv_str_addf(text, "varied      %-18s %s | %s\n", conditions->v[i].what, conditions->v[i].first,
				    conditions->v[i].second);
	for (size_t i = 0; i < conditions->n; i++)
		if (conditions->v[i].why)
			pv_str_addf(text, "not varied  %-18s %s\n", conditions->v[i].what, conditions->v[i].why);
}

/* A live archive that got new packages between the builds is no fault of theirs. */
static void find_cause(struct judging *j)
{
	json_int_t a = json_integer_value(json_object_get(j->reports[0], "epoch"));
	json_int_t b = json_integer_value(json_object_get(j->reports[1], "epoch"));

	if (a == b)
		return;
	pv_freep(&j->cause);
	j->cause = pv_fmt("the archive changed between the two builds (epoch %lld, then %lld): try again, or lock it",
			  (long long)a, (long long)b);
}

static void conclude(struct judging *j, const struct pv_conditions *conditions, struct pv_reproduced *ret)
{
	bool equal = j->differ == 0;
	pv_autostr text = PV_STR_INIT;

	if (!equal)
		find_cause(j);
	json_t *root = json_pack("{s:s, s:s, s:b, s:o?, s:O, s:O, s:o, s:o, s:o}", "schema", "pvimg.reproduce/1", "name",
				 j->req->recipe->name, "equal", equal, "cause",
				 equal ? json_null() : json_string(j->cause ? j->cause : "?"), "artifacts", j->artifacts,
				 "differences", j->differences, "varied", conditions_json(conditions, true), "not_varied",
				 conditions_json(conditions, false), "builds", builds_json(j->builds));
	char *json = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	conditions_text(conditions, &text);
	pv_str_add(&text, pv_str_text(&j->text));
	ret->equal = equal;
	ret->cause = equal ? NULL : pv_fmt("%zu of %zu artifacts differ: %s", j->differ, j->artifacts_n,
					   j->cause ? j->cause : "?");
	ret->json = pv_fmt("%s\n", json ? json : "{}");
	ret->text = pv_str_steal(&text);
	free(json);
}

int pv_reproduce_judge(const struct pv_reproduce_request *req, const struct pv_rebuild builds[2],
		       const struct pv_conditions *conditions, struct pv_reproduced *ret, struct pv_error *err)
{
	struct judging j = {
		.req = req, .builds = builds, .text = PV_STR_INIT, .artifacts = json_array(), .differences = json_array(),
	};
	int rc = 0;

	for (unsigned i = 0; i < 2 && rc == 0; i++)
		if (!(j.reports[i] = read_report(&builds[i], req->recipe->name, err)))
			rc = -1;
	if (rc == 0)
		rc = judge_all(&j, err);
	if (rc == 0)
		conclude(&j, conditions, ret);
	json_decref(j.reports[0]);
	json_decref(j.reports[1]);
	json_decref(j.artifacts);
	json_decref(j.differences);
	pv_str_done(&j.text);
	free(j.cause);
	return rc;
}
