/* SPDX-License-Identifier: Apache-2.0 */
/* Makes libcyaml's schema from the table of keys and loads a file's values with it. */
#include "recipe_raw.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * libcyaml 1.3.1 stops at its first error, tells the line of the enclosing node only, and takes
 * 12abc for 12; so recipe_check.c has judged keys, types and values with their places before, from
 * the same table, and every scalar is a string here. libcyaml then fills the struct, refuses
 * aliases, and is the second opinion on structure.
 */
struct schema {
	cyaml_schema_field_t top[PV_RECIPE_KEYS + 1];
	cyaml_schema_field_t below[PV_RECIPE_KEYS * 2 + 1]; /* sections, each ended by a NULL key */
	cyaml_schema_value_t entry, root;
	char *sections[PV_RECIPE_KEYS];
	size_t nsections;
};

static cyaml_schema_field_t leaf(const char *name, size_t at, const cyaml_schema_value_t *entry,
				 bool is_list)
{
	cyaml_schema_field_t field = { .key = name };

	field.value.flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL;
	if (is_list) {
		field.value.type = CYAML_SEQUENCE;
		field.data_offset = (uint32_t)offsetof(struct pv_recipe_raw, v[at].list);
		field.count_offset = (uint32_t)offsetof(struct pv_recipe_raw, v[at].n);
		field.count_size = sizeof(uint32_t);
		field.value.data_size = sizeof(char *);
		field.value.sequence.entry = entry;
		field.value.sequence.max = CYAML_UNLIMITED;
	} else {
		field.value.type = CYAML_STRING;
		field.data_offset = (uint32_t)offsetof(struct pv_recipe_raw, v[at].text);
		field.value.data_size = sizeof(char);
		field.value.string.max = CYAML_UNLIMITED;
	}
	return field;
}

/* A section is a mapping that lies over the whole struct, at offset 0: its fields keep their own
 * offsets. */
static cyaml_schema_field_t section_field(const char *name, const cyaml_schema_field_t *fields)
{
	cyaml_schema_field_t field = { .key = name };

	field.value.type = CYAML_MAPPING;
	field.value.flags = CYAML_FLAG_OPTIONAL;
	field.value.data_size = sizeof(struct pv_recipe_raw);
	field.value.mapping.fields = fields;
	return field;
}

static void make_schema(struct schema *s)
{
	const struct pv_recipe_key *keys = pv_recipe_keys();
	size_t ntop = 0, nbelow = 0;
	const char *section = NULL;

	memset(s, 0, sizeof(*s));
	s->entry.type = CYAML_STRING;
	s->entry.flags = CYAML_FLAG_POINTER;
	s->entry.data_size = sizeof(char);
	s->entry.string.max = CYAML_UNLIMITED;
	for (size_t i = 0; i < PV_RECIPE_KEYS; i++) {
		const char *dot = strchr(keys[i].name, '.');
		bool is_list = keys[i].type == PV_KEY_LIST;

		if (!dot) {
			s->top[ntop++] = leaf(keys[i].name, i, &s->entry, is_list);
			section = NULL;
			continue;
		}
		size_t len = (size_t)(dot - keys[i].name);

		if (!section || strlen(section) != len ||
		    strncmp(section, keys[i].name, len) != 0) {
			section = s->sections[s->nsections++] = pv_xstrndup(keys[i].name, len);
			nbelow += nbelow ? 1 : 0; /* the NULL key that ends the section before */
			s->top[ntop++] = section_field(section, &s->below[nbelow]);
		}
		s->below[nbelow++] = leaf(dot + 1, i, &s->entry, is_list);
	}
	s->root.type = CYAML_MAPPING;
	s->root.flags = CYAML_FLAG_POINTER;
	s->root.data_size = sizeof(struct pv_recipe_raw);
	s->root.mapping.fields = s->top;
}

static void drop_schema(struct schema *s)
{
	for (size_t i = 0; i < s->nsections; i++)
		pv_freep(&s->sections[i]);
}

/* Keeps libcyaml's first words: later ones are its way back up. */
static void PV_PRINTF(3, 0) note(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	char *words = ctx;

	if (level >= CYAML_LOG_ERROR && !words[0])
		vsnprintf(words, 200, fmt, args);
}

static const cyaml_config_t config_base = {
	.log_fn = note,
	.mem_fn = cyaml_mem,
	.log_level = CYAML_LOG_ERROR,
	.flags = CYAML_CFG_NO_ALIAS,
};

int pv_recipe_raw_load(const char *file, const char *text, size_t len, struct pv_recipe_raw **ret,
		       struct pv_error *err)
{
	char words[200] = "";
	cyaml_config_t config = config_base;
	struct schema schema;
	cyaml_data_t *data = NULL;

	config.log_ctx = words;
	make_schema(&schema);
	cyaml_err_t code =
		cyaml_load_data((const uint8_t *)text, len, &config, &schema.root, &data, NULL);

	drop_schema(&schema);
	/* libcyaml 1.3.1 calls an empty document a success without data. */
	if (code != CYAML_OK || !data) {
		pv_autofree char *shown = pv_printable(words, strcspn(words, "\n"));

		return pv_error_set(err, PV_ERR_RECIPE, "%s: refused by libcyaml: %s: %s", file,
				    code != CYAML_OK ? cyaml_strerror(code) : "empty", shown);
	}
	*ret = data;
	return 0;
}

void pv_recipe_raw_free(struct pv_recipe_raw *raw)
{
	cyaml_config_t config = config_base;
	char words[200] = "";
	struct schema schema;

	if (!raw)
		return;
	config.log_ctx = words;
	make_schema(&schema);
	cyaml_free(&config, &schema.root, raw, 0);
	drop_schema(&schema);
}

void pv_recipe_raw_freep(struct pv_recipe_raw **raw)
{
	pv_recipe_raw_free(*raw);
	*raw = NULL;
}
