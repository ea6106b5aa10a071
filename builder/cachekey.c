/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of a stage's inputs: made, digested, compared. */
#include "cachekey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"

#define VALUE_MAX 200u

static bool name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("._+:/~-", c));
}

static char *clean_name(const char *name)
{
	pv_autostr out = PV_STR_INIT;

	for (const char *c = name; *c; c++)
		if (name_byte(*c))
			pv_str_addc(&out, *c);
		else
			pv_str_addf(&out, "%%%02X", (unsigned char)*c);
	return pv_str_steal(&out);
}

/* "sha256:" itself begins no plain value: else a value could pass for another one's digest. */
static bool is_plain(const char *value)
{
	if (strlen(value) > VALUE_MAX || pv_starts(value, "sha256:"))
		return false;
	for (const char *c = value; *c; c++)
		if (*c < ' ' || *c > '~')
			return false;
	return true;
}

static void take(struct pv_cachekey *key, const char *name, char *value)
{
	pv_strv_take(&key->names, clean_name(name));
	pv_strv_take(&key->values, value);
}

void pv_cachekey_add(struct pv_cachekey *key, const char *name, const char *value)
{
	char hex[PV_SHA256_HEX];

	if (is_plain(value)) {
		take(key, name, pv_xstrdup(value));
		return;
	}
	pv_digest_mem(value, strlen(value), hex);
	take(key, name, pv_fmt("sha256:%s", hex));
}

void pv_cachekey_addf(struct pv_cachekey *key, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pv_autofree char *value = pv_vfmt(fmt, ap);
	va_end(ap);
	pv_cachekey_add(key, name, value);
}

int pv_cachekey_file(struct pv_cachekey *key, const char *name, const char *path, struct pv_error *err)
{
	char hex[PV_SHA256_HEX];

	if (!pv_exists(path)) {
		take(key, name, pv_xstrdup("none"));
		return 0;
	}
	if (pv_digest_file(path, hex, NULL, err) < 0)
		return -1;
	take(key, name, pv_fmt("sha256:%s", hex));
	return 0;
}

void pv_cachekey_digest(const struct pv_cachekey *key, char ret[PV_SHA256_HEX])
{
	pv_autodigest *digest = pv_digest_new();

	for (size_t i = 0; i < key->names.n; i++) {
		pv_digest_add(digest, key->names.v[i], strlen(key->names.v[i]));
		pv_digest_add(digest, "=", 1);
		pv_digest_add(digest, key->values.v[i], strlen(key->values.v[i]));
		pv_digest_add(digest, "\n", 1);
	}
	pv_digest_hex(digest, ret);
}

/* Lists of one stage mostly agree, so the line is mostly at the same place. */
static const char *get_near(const struct pv_cachekey *key, size_t near, const char *name)
{
	if (near < key->names.n && pv_streq(key->names.v[near], name))
		return key->values.v[near];
	for (size_t i = 0; i < key->names.n; i++)
		if (pv_streq(key->names.v[i], name))
			return key->values.v[i];
	return NULL;
}

const char *pv_cachekey_get(const struct pv_cachekey *key, const char *name)
{
	pv_autofree char *clean = clean_name(name);

	return get_near(key, 0, clean);
}

bool pv_cachekey_diff(const struct pv_cachekey *before, const struct pv_cachekey *now, const char **ret_name,
		      const char **ret_before, const char **ret_now)
{
	for (size_t i = 0; i < now->names.n; i++) {
		*ret_name = now->names.v[i];
		*ret_now = now->values.v[i];
		*ret_before = get_near(before, i, *ret_name);
		if (!pv_streq(*ret_before, *ret_now))
			return true;
	}
	for (size_t i = 0; i < before->names.n; i++) {
		*ret_name = before->names.v[i];
		*ret_before = before->values.v[i];
		*ret_now = get_near(now, i, *ret_name);
		if (!*ret_now)
			return true;
	}
	return false;
}

size_t pv_cachekey_distance(const struct pv_cachekey *before, const struct pv_cachekey *now)
{
	size_t n = 0;

	for (size_t i = 0; i < now->names.n; i++)
		n += !pv_streq(get_near(before, i, now->names.v[i]), now->values.v[i]);
	for (size_t i = 0; i < before->names.n; i++)
		n += !get_near(now, i, before->names.v[i]);
	return n;
}

void pv_cachekey_done(struct pv_cachekey *key)
{
	pv_strv_done(&key->names);
	pv_strv_done(&key->values);
}
