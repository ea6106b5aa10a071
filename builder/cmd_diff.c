/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg diff: what two images, or two results, differ in, as text or JSON. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "imgdiff.h"
#include "proc.h"
#include "subject_diff.h"

#define SHOWN 200u			/* files that people see one by one */
#define LISTED 10000u			/* in JSON */

struct comparison {
	const struct pv_subject *a, *b;
	bool quiet;			/* JSON: nothing is printed on the way */
	json_t *sections;
	size_t differ;			/* sections, measurements not counted */
};

/* Numbers as people read them; JSON has them plain. */
static void print_change(enum pv_subject_table table, const json_t *change)
{
	const char *name = json_string_value(json_object_get(change, "what"));
	const char *first = json_string_value(json_object_get(change, "first"));
	const char *second = json_string_value(json_object_get(change, "second"));
	const char *how = json_string_value(json_object_get(change, "how"));
	pv_autofree char *a = pv_subject_value_text(table, first ? first : "");
	pv_autofree char *b = pv_subject_value_text(table, second ? second : "");

	if (!second)
		printf("  - %s%s%s\n", name, *a ? " " : "", a);
	else if (!first)
		printf("  + %s%s%s\n", name, *b ? " " : "", b);
	else if (pv_streq(a, b))		/* rounded too far */
		printf("  ~ %s %s | %s\n", name, first, second);
	else if (pv_streq(how, "changed"))
		printf("  ~ %s %s | %s\n", name, a, b);
	else
		printf("  ~ %s %s | %s (%s)\n", name, a, b, how);
}

static void print_section(enum pv_subject_table table, const json_t *section, size_t total)
{
	const char *name = pv_subject_table_name(table), *why = json_string_value(json_object_get(section, "why"));
	const json_t *changes = json_object_get(section, "changes");
	size_t n = json_array_size(changes);

	if (why) {
		printf("%s: not compared: %s\n", name, why);
		return;
	}
	if (n == 0) {
		printf("%s: the same (%zu)\n", name, total);
		return;
	}
	printf("%s: %zu of %zu differ\n", name, n, total);
	for (size_t i = 0; i < n; i++)
		print_change(table, json_array_get(changes, i));
}

static void compare_table(struct comparison *c, enum pv_subject_table table)
{
	const struct pv_vars *a = &c->a->tables[table].v, *b = &c->b->tables[table].v;
	json_t *section = pv_subject_section(c->a, c->b, table);

	if (!c->quiet)
		print_section(table, section, a->n > b->n ? a->n : b->n);
	if (json_array_size(json_object_get(section, "changes")) && !pv_subject_is_measured(table))
		c->differ++;
	json_array_append_new(c->sections, section);
}

/* --- files --- */

/* A package whose version changed brings new files: they are counted, the others shown. */
static bool is_expected(const struct comparison *c, const struct pv_imgdiff_item *item)
{
	static const char package[] = "package ";
	const char *a, *b;

	if (!pv_starts(item->writer, package))
		return false;
	a = pv_vars_get(&c->a->tables[PV_SUBJECT_PACKAGES].v, item->writer + strlen(package));
	b = pv_vars_get(&c->b->tables[PV_SUBJECT_PACKAGES].v, item->writer + strlen(package));
	return !pv_streq(a, b);
}

static void print_files(const struct comparison *c, const struct pv_imgdiff *diff)
{
	size_t shown = 0, expected = 0;

	if (diff->total == 0) {
		puts("files: the same");
		return;
	}
	printf("files: %llu differences\n", (unsigned long long)diff->total);
	for (size_t i = 0; i < diff->n; i++) {
		const struct pv_imgdiff_item *item = &diff->v[i];
		if (is_expected(c, item)) {
			expected++;
			continue;
		}
		if (shown++ >= SHOWN)
			continue;
		pv_autofree char *line = pv_imgdiff_text(item);
		printf("  %s\n", line);
	}
	if (shown > SHOWN)
		printf("  and %zu more (--json lists them)\n", shown - SHOWN);
	if (expected)
		printf("  %zu of packages that differ (--json lists them)\n", expected);
}

static int compare_files(struct comparison *c, json_t **ret_files, struct pv_error *err)
{
	pv_autoimgdiff diff = { 0 };
	const struct pv_imgdiff_options options = { .exact = false };

	*ret_files = json_array();
	if (!c->a->image || !c->b->image) {
		const char *why = "the images of both are wanted";
		json_array_append_new(c->sections, json_pack("{s:s, s:s, s:s, s:[]}", "name", "files", "state",
							     "not compared", "why", why, "changes"));
		if (!c->quiet)
			printf("files: not compared: %s\n", why);
		return 0;
	}
	if (pv_imgdiff(c->a->image, c->b->image, &options, &diff, err) < 0)
		return -1;
	json_decref(*ret_files);
	*ret_files = pv_imgdiff_json(&diff, "raw", LISTED);
	if (!c->quiet)
		print_files(c, &diff);
	c->differ += diff.total > 0;
	json_array_append_new(c->sections, json_pack("{s:s, s:s, s:n, s:[]}", "name", "files", "state",
						     diff.total ? "different" : "equal", "why", "changes"));
	return 0;
}

static int compare(struct comparison *c, struct pv_error *err)
{
	json_t *files = NULL;
	int rc;

	for (unsigned table = 0; table < PV_SUBJECT_TABLES; table++)
		compare_table(c, (enum pv_subject_table)table);
	rc = compare_files(c, &files, err);
	if (rc == 0 && c->quiet) {
		json_t *root = json_pack("{s:s, s:s, s:s, s:b, s:O, s:O}", "schema", "pvimg.diff/1", "first", c->a->path,
					 "second", c->b->path, "equal", c->differ == 0, "sections", c->sections, "files",
					 files);
		pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
		json_decref(root);
		puts(text ? text : "{}");
	}
	json_decref(files);
	return rc;
}

/* Where only one image is there, both are judged by their records: an image tells more than they do. */
static void use_records(struct pv_subject *s)
{
	pv_autosubject records = { .path = NULL };

	if (pv_subject_open(s->path, true, &records, NULL) < 0)
		return;
	struct pv_subject with_image = *s;
	*s = records;
	records = with_image;
}

int pv_cmd_diff(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	pv_autosubject a = { .path = NULL }, b = { .path = NULL };

	(void)argc;
	if (pv_subject_open(argv[0], false, &a, err) < 0 || pv_subject_open(argv[1], false, &b, err) < 0)
		return -1;
	bool both = a.image && b.image;
	if (!both && a.image)
		use_records(&a);
	if (!both && b.image)
		use_records(&b);
	struct comparison c = { .a = &a, .b = &b, .quiet = ctx->opts.json, .sections = json_array() };
	int rc = compare(&c, err);
	json_decref(c.sections);
	if (rc < 0)
		return -1;
	if (c.differ)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s, %s: %zu of %d sections differ", argv[0], argv[1], c.differ,
				    PV_SUBJECT_TABLES + 1);
	return 0;
}
