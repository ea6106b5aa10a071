/* SPDX-License-Identifier: Apache-2.0 */
/* Walks libyaml's events into a tree with positions and refuses every part of YAML that a recipe
 * has no use for. */
#include "recipe_yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
	const char *file, *text;
	size_t len;
	struct pv_findings *findings;
	yaml_parser_t parser;
	yaml_event_t event; /* the one looked at; empty when `done` */
	bool has_event;
};

static unsigned line_of(const yaml_mark_t *mark)
{
	return (unsigned)mark->line + 1;
}

static unsigned column_of(const yaml_mark_t *mark)
{
	return (unsigned)mark->column + 1;
}

static void drop_event(struct reader *rd)
{
	if (rd->has_event)
		yaml_event_delete(&rd->event);
	rd->has_event = false;
}

/* Where byte `offset` of the text is: libyaml's reader (UTF-8, control characters) tells no line.
 */
static void place_of(const struct reader *rd, size_t offset, unsigned *ret_line,
		     unsigned *ret_column)
{
	*ret_line = *ret_column = 1;
	for (size_t i = 0; i < offset && i < rd->len; i++) {
		bool starts_character = ((unsigned char)rd->text[i] & 0xc0) != 0x80;

		*ret_column = rd->text[i] == '\n' ? 1 : *ret_column + starts_character;
		*ret_line += rd->text[i] == '\n';
	}
}

/* The next event, or false with a finding: the text is no YAML from here on. */
static bool next(struct reader *rd)
{
	drop_event(rd);
	if (yaml_parser_parse(&rd->parser, &rd->event)) {
		rd->has_event = true;
		return true;
	}
	const yaml_parser_t *p = &rd->parser;
	unsigned line = line_of(&p->problem_mark), column = column_of(&p->problem_mark);

	if (p->error == YAML_READER_ERROR)
		place_of(rd, p->problem_offset, &line, &column);
	pv_findings_add(rd->findings, rd->file, line, column, "not YAML: %s%s%s",
			p->problem ? p->problem : "out of memory", p->context ? ", " : "",
			p->context ? p->context : "");
	return false;
}

static void refuse(struct reader *rd, const char *what)
{
	pv_findings_add(rd->findings, rd->file, line_of(&rd->event.start_mark),
			column_of(&rd->event.start_mark),
			"%s not used in recipes; write the value itself", what);
}

static struct pv_yaml_node *new_child(struct pv_yaml_node *parent)
{
	if (parent->n == parent->cap) {
		parent->cap = parent->cap ? parent->cap * 2 : 8;
		parent->v = pv_xreallocarray(parent->v, parent->cap, sizeof(*parent->v));
	}
	parent->v[parent->n] = (struct pv_yaml_node){ .kind = PV_YAML_BROKEN };
	return &parent->v[parent->n++];
}

/* Copies a scalar; NULL and a finding when it holds a NUL byte. */
static char *scalar_text(struct reader *rd)
{
	const char *value = (const char *)rd->event.data.scalar.value;
	size_t len = rd->event.data.scalar.length;

	if (!memchr(value, 0, len))
		return pv_xstrndup(value, len);
	refuse(rd, "a NUL byte is");
	return NULL;
}

static void refuse_decoration(struct reader *rd, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		refuse(rd, "an anchor (&) is");
	if (tag)
		refuse(rd, "a tag (!) is");
}

static bool read_value(struct reader *rd, struct pv_yaml_node *node, unsigned depth);

static bool read_list(struct reader *rd, struct pv_yaml_node *node, unsigned depth)
{
	node->kind = PV_YAML_LIST;
	for (;;) {
		if (!next(rd))
			return false;
		if (rd->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		if (!read_value(rd, new_child(node), depth + 1))
			return false;
	}
}

static bool read_mapping(struct reader *rd, struct pv_yaml_node *node, unsigned depth)
{
	node->kind = PV_YAML_MAPPING;
	for (;;) {
		struct pv_yaml_node key = { .kind = PV_YAML_BROKEN };

		if (!next(rd))
			return false;
		if (rd->event.type == YAML_MAPPING_END_EVENT)
			return true;
		bool simple =
			rd->event.type == YAML_SCALAR_EVENT || rd->event.type == YAML_ALIAS_EVENT;

		if (!simple)
			refuse(rd, "a key that is a list or a mapping is");
		bool ok = read_value(rd, &key, depth + 1);

		ok = ok && next(rd);
		struct pv_yaml_node *child = new_child(node);

		child->key = pv_steal(&key.text);
		child->key_line = key.line;
		child->key_column = key.column;
		pv_yaml_done(&key);
		if (!ok || !read_value(rd, child, depth + 1))
			return false;
	}
}

/* Reads the value that begins with the current event. False: give up. */
static bool read_value(struct reader *rd, struct pv_yaml_node *node, unsigned depth)
{
	const yaml_event_t *ev = &rd->event;

	node->line = line_of(&ev->start_mark);
	node->column = column_of(&ev->start_mark);
	if (depth > PV_YAML_DEPTH) {
		pv_findings_add(rd->findings, rd->file, node->line, node->column,
				"nested too deeply; the file is not read further");
		return false;
	}
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		refuse_decoration(rd, ev->data.scalar.anchor, ev->data.scalar.tag);
		node->text = scalar_text(rd);
		node->kind = node->text ? PV_YAML_TEXT : PV_YAML_BROKEN;
		return true;
	case YAML_ALIAS_EVENT:
		refuse(rd, "an alias (*) is");
		return true;
	case YAML_SEQUENCE_START_EVENT:
		refuse_decoration(rd, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
		return read_list(rd, node, depth);
	case YAML_MAPPING_START_EVENT:
		refuse_decoration(rd, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
		return read_mapping(rd, node, depth);
	default:
		pv_findings_add(rd->findings, rd->file, node->line, node->column,
				"not YAML: a value is missing");
		return false;
	}
}

static bool read_document(struct reader *rd, struct pv_yaml_node *root)
{
	root->line = root->column = 1;
	if (!next(rd) || !next(rd)) /* the stream, then its first document */
		return false;
	if (rd->event.type == YAML_STREAM_END_EVENT) {
		pv_findings_add(rd->findings, rd->file, 1, 1,
				"empty; a recipe is a mapping of keys to values");
		return true;
	}
	if (rd->event.data.document_start.version_directive ||
	    rd->event.data.document_start.tag_directives.start !=
		    rd->event.data.document_start.tag_directives.end)
		refuse(rd, "a directive (%) is");
	if (!next(rd) || !read_value(rd, root, 1) || !next(rd) || !next(rd))
		return false;
	if (rd->event.type == YAML_DOCUMENT_START_EVENT)
		pv_findings_add(rd->findings, rd->file, line_of(&rd->event.start_mark),
				column_of(&rd->event.start_mark),
				"a second document; a recipe is one");
	return true;
}

bool pv_yaml_parse(const char *file, const char *text, size_t len, struct pv_yaml_node *ret,
		   struct pv_findings *findings)
{
	struct reader rd = { .file = file, .text = text, .len = len, .findings = findings };
	pv_autoyaml root = { .kind = PV_YAML_BROKEN };

	if (len > PV_YAML_MAX) {
		pv_findings_add(findings, file, 0, 0, "larger than %u KiB; a recipe is a few lines",
				PV_YAML_MAX / 1024);
		return false;
	}
	if (!yaml_parser_initialize(&rd.parser)) {
		pv_findings_add(findings, file, 0, 0, "not read: out of memory");
		return false;
	}
	yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&rd.parser, (const unsigned char *)text, len);
	bool ok = read_document(&rd, &root);

	drop_event(&rd);
	yaml_parser_delete(&rd.parser);
	if (!ok)
		return false;
	*ret = root;
	root = (struct pv_yaml_node){ 0 };
	return true;
}

void pv_yaml_done(struct pv_yaml_node *node)
{
	for (size_t i = 0; i < node->n; i++)
		pv_yaml_done(&node->v[i]); /* no deeper than PV_YAML_DEPTH */
	free(node->v);
	free(node->text);
	free(node->key);
	*node = (struct pv_yaml_node){ 0 };
}

const struct pv_yaml_node *pv_yaml_at(const struct pv_yaml_node *root, const char *path)
{
	size_t len = strcspn(path, ".");

	for (size_t i = 0; i < root->n; i++) {
		const struct pv_yaml_node *child = &root->v[i];

		if (!child->key || strncmp(child->key, path, len) != 0 || child->key[len] != '\0')
			continue;
		return path[len] ? pv_yaml_at(child, path + len + 1) : child;
	}
	return NULL;
}
