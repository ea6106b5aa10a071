/* SPDX-License-Identifier: Apache-2.0 */
/* Reads ova.xml by expat, within bounds: what machine, which disks, and references that lead nowhere. */
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xva.h"

#define DEPTH_MAX 64u
#define OBJECTS_MAX 4096u
#define TEXT_MAX 4096u			/* of a value that is kept; longer ones are none that matter */

struct object {
	char *class, *id, *label, *vdi, *vm, *sr, *size, *memory, *vcpus;
};

struct ova {
	XML_Parser parser;
	const char *why;		/* it was stopped; NULL: not */
	unsigned depth, structs;	/* elements, and structs among them, that are open */
	char name[DEPTH_MAX + 1][48];	/* of the member that is open in each struct */
	bool in_name;
	struct pv_str text;		/* of the innermost name or value */
	struct object *objects;
	size_t n;
	struct object now;
};

static void object_done(struct object *o)
{
	char **const all[] = { &o->class, &o->id, &o->label, &o->vdi, &o->vm, &o->sr, &o->size, &o->memory, &o->vcpus };

	for (size_t i = 0; i < PV_COUNT(all); i++)
		pv_freep(all[i]);
}

static void stop(struct ova *o, const char *why)
{
	if (!o->why)
		o->why = why;
	XML_StopParser(o->parser, XML_FALSE);
}

static void on_start(void *ctx, const char *tag, const char **attributes)
{
	struct ova *o = ctx;

	(void)attributes;
	if (o->why)
		return;
	if (++o->depth > DEPTH_MAX) {
		stop(o, "it is nested too deep");
		return;
	}
	pv_str_reset(&o->text);
	o->in_name = pv_streq(tag, "name");
	if (pv_streq(tag, "struct"))
		o->name[++o->structs][0] = '\0';
}

static void on_text(void *ctx, const char *text, int len)
{
	struct ova *o = ctx;

	if (len > 0 && o->text.len + (size_t)len <= TEXT_MAX)
		pv_str_addn(&o->text, text, (size_t)len);
}

/* The place for a field of the object that is open; NULL: of no interest. */
static char **field(struct ova *o)
{
	static const char *const names[] = { "name_label", "VDI", "VM", "SR", "virtual_size", "memory_static_max",
					     "VCPUs_at_startup" };
	char **const places[] = { &o->now.label, &o->now.vdi, &o->now.vm, &o->now.sr, &o->now.size, &o->now.memory,
				  &o->now.vcpus };

	if (!pv_streq(o->name[1], "objects"))
		return NULL;
	if (o->structs == 2)
		return pv_streq(o->name[2], "class") ? &o->now.class : pv_streq(o->name[2], "id") ? &o->now.id : NULL;
	if (o->structs != 3 || !pv_streq(o->name[2], "snapshot"))
		return NULL;
	for (size_t i = 0; i < PV_COUNT(names); i++)
		if (pv_streq(o->name[3], names[i]))
			return places[i];
	return NULL;
}

static void end_object(struct ova *o)
{
	if (o->n == OBJECTS_MAX) {
		stop(o, "it has too many objects");
		return;
	}
	if (o->now.class && o->now.id) {
		o->objects = pv_xreallocarray(o->objects, o->n + 1, sizeof(*o->objects));
		o->objects[o->n++] = o->now;
	} else {
		object_done(&o->now);
	}
	memset(&o->now, 0, sizeof(o->now));
}

static void on_end(void *ctx, const char *tag)
{
	struct ova *o = ctx;
	char **place;

	if (o->why)
		return;
	o->depth--;
	if (o->in_name && o->structs > 0) {
		snprintf(o->name[o->structs], sizeof(o->name[0]), "%s", pv_str_text(&o->text));
	} else if (pv_streq(tag, "struct") && o->structs > 0) {
		if (o->structs == 2 && pv_streq(o->name[1], "objects"))
			end_object(o);
		o->structs--;
	} else if (pv_streq(tag, "value") && (place = field(o)) != NULL && !*place) {
		*place = pv_xstrdup(pv_str_text(&o->text));
	}
	o->in_name = false;
	pv_str_reset(&o->text);
}

static void on_doctype(void *ctx, const char *name, const char *sysid, const char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	stop(ctx, "it has a document type, from which entities come");
}

/* --- judging --- */

static const struct object *find(const struct ova *o, const char *class, const char *id)
{
	for (size_t i = 0; i < o->n; i++)
		if (pv_streq(o->objects[i].class, class) && pv_streq(o->objects[i].id, id))
			return &o->objects[i];
	return NULL;
}

static void check_references(const struct ova *o, struct pv_strv *faults)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct object *x = &o->objects[i];
		pv_autofree char *id = pv_printable(x->id, strlen(x->id));

		for (size_t k = 0; k < i; k++)
			if (pv_streq(o->objects[k].id, x->id)) {
				pv_strv_addf(faults, "ova.xml: two objects have the id %s", id);
				break;
			}
		if (pv_streq(x->class, "VDI") && !find(o, "SR", x->sr))
			pv_strv_addf(faults, "ova.xml: the disk %s is in no storage that is there", id);
		if (pv_streq(x->class, "VBD") && (!find(o, "VM", x->vm) ||
						  (pv_starts(x->vdi ? x->vdi : "", "Ref:") && !find(o, "VDI", x->vdi))))
			pv_strv_addf(faults,
				     "ova.xml: the drive %s lacks its machine or its disk: importers leave it out", id);
		if (faults->n > 100)
			return;
	}
}

static uint64_t number(const char *text, uint64_t max)
{
	uint64_t n;

	return text && pv_parse_u64(text, 0, max, &n) == 0 ? n : 0;
}

static int take(const struct ova *o, const char *name, struct pv_xva *ret, char **ret_vdi, struct pv_strv *faults,
		struct pv_error *err)
{
	const struct object *vdi = NULL, *vm = NULL;
	bool used = false;

	for (size_t i = 0; i < o->n; i++) {
		const struct object *x = &o->objects[i];

		if (pv_streq(x->class, "VM") && !vm)
			vm = x;
		if (!pv_streq(x->class, "VDI"))
			continue;
		ret->disks++;
		if (!vdi || strcmp(x->id, vdi->id) < 0)	/* importers go by the ids */
			vdi = x;
	}
	if (!vdi || number(vdi->size, PV_XVA_MAX) == 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: ova.xml has no disk of a possible size", name);
	check_references(o, faults);
	for (size_t i = 0; i < o->n; i++)
		used |= pv_streq(o->objects[i].class, "VBD") && pv_streq(o->objects[i].vdi, vdi->id);
	if (!used)
		pv_strv_add(faults, "ova.xml: no drive has the disk in it");
	if (!vm)
		pv_strv_add(faults, "ova.xml: there is no machine");
	ret->size = number(vdi->size, PV_XVA_MAX);
	if (vm) {
		ret->machine = vm->label ? pv_printable(vm->label, strlen(vm->label)) : NULL;
		ret->memory = number(vm->memory, UINT64_MAX);
		ret->vcpus = (unsigned)number(vm->vcpus, 4096);
	}
	*ret_vdi = pv_xstrdup(vdi->id);
	return 0;
}

int pv_xva_ova_read(const char *xml, size_t len, const char *name, struct pv_xva *ret, char **ret_vdi,
		    struct pv_strv *faults, struct pv_error *err)
{
	struct ova o = { .parser = XML_ParserCreate(NULL) };
	int rc = -1;

	if (!o.parser || len > PV_XVA_OVA_MAX) {
		XML_ParserFree(o.parser);
		return pv_error_set(err, PV_ERR_STAGE, "%s: ova.xml is too large", name);
	}
	memset(ret, 0, sizeof(*ret));
	XML_SetUserData(o.parser, &o);
	XML_SetElementHandler(o.parser, on_start, on_end);
	XML_SetCharacterDataHandler(o.parser, on_text);
	XML_SetStartDoctypeDeclHandler(o.parser, on_doctype);
	if (XML_Parse(o.parser, xml, (int)len, 1) == XML_STATUS_OK && !o.why)
		rc = take(&o, name, ret, ret_vdi, faults, err);
	else
		(void)pv_error_set(err, PV_ERR_STAGE, "%s: ova.xml, line %lu: %s", name,
				   (unsigned long)XML_GetCurrentLineNumber(o.parser),
				   o.why ? o.why : XML_ErrorString(XML_GetErrorCode(o.parser)));
	XML_ParserFree(o.parser);
	for (size_t i = 0; i < o.n; i++)
		object_done(&o.objects[i]);
	free(o.objects);
	object_done(&o.now);
	pv_str_done(&o.text);
	return rc;
}

void pv_xva_done(struct pv_xva *xva)
{
	pv_freep(&xva->machine);
}
