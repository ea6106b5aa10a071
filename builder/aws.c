/* SPDX-License-Identifier: Apache-2.0 */
/* Finds credentials, region and endpoint in the environment and in ~/.aws. */
#include "aws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fsutil.h"
#include "text.h"

#define FILE_MAX ((size_t)1 << 20)
#define WORD_MAX 8192u			/* session tokens are long */

void pv_aws_done(struct pv_aws *aws)
{
	char *const secrets[] = { aws->secret, aws->token };

	for (size_t i = 0; i < PV_COUNT(secrets); i++)
		if (secrets[i])
			explicit_bzero(secrets[i], strlen(secrets[i]));
	pv_freep(&aws->key_id);
	pv_freep(&aws->secret);
	pv_freep(&aws->token);
	pv_freep(&aws->region);
	pv_freep(&aws->endpoint);
}

/* --- the files --- */

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Without blanks at both ends; the caller frees. */
static char *trimmed(const char *text, size_t len)
{
	while (len > 0 && blank(*text)) {
		text++;
		len--;
	}
	while (len > 0 && blank(text[len - 1]))
		len--;
	return pv_xstrndup(text, len);
}

struct ini {
	const char *section, *name;
	const char *const *keys;
	char **const *ret;
	size_t n;
	bool inside, found;
};

static int take_setting(struct ini *ini, const char *line, size_t len, unsigned number, struct pv_error *err)
{
	const char *equals = memchr(line, '=', len);

	if (!equals)
		return pv_error_set(err, PV_ERR_USAGE, "%s: line %u: neither a section nor a setting", ini->name, number);
	pv_autofree char *key = trimmed(line, (size_t)(equals - line));
	for (size_t i = 0; ini->inside && i < ini->n; i++) {
		if (!pv_streq(key, ini->keys[i]))
			continue;
		if (*ini->ret[i])
			return pv_error_set(err, PV_ERR_USAGE, "%s: line %u: %s is there twice", ini->name, number, key);
		*ini->ret[i] = trimmed(equals + 1, len - (size_t)(equals + 1 - line));
	}
	return 0;
}

static int take_line(struct ini *ini, const char *line, size_t len, unsigned number, struct pv_error *err)
{
	pv_autofree char *all = trimmed(line, len);

	if (*all == '\0' || *line == '#' || *line == ';' || blank(*line))
		return 0;
	if (*line != '[')
		return take_setting(ini, line, len, number, err);
	size_t n = strlen(all);
	if (n < 3 || all[n - 1] != ']')
		return pv_error_set(err, PV_ERR_USAGE, "%s: line %u: a section without its end", ini->name, number);
	pv_autofree char *section = trimmed(all + 1, n - 2);
	ini->inside = pv_streq(section, ini->section);
	ini->found = ini->found || ini->inside;
	return 0;
}

int pv_aws_ini(const char *text, const char *name, const char *section, const char *const *keys, char **const *ret,
	       size_t n, bool *ret_found, struct pv_error *err)
{
	struct ini ini = { .section = section, .name = name, .keys = keys, .ret = ret, .n = n };

	for (size_t i = 0; i < n; i++)
		*ret[i] = NULL;
	for (unsigned number = 1; *text; number++) {
		size_t len = strcspn(text, "\n");

		if (take_line(&ini, text, len, number, err) < 0) {
			for (size_t i = 0; i < n; i++)
				pv_freep(ret[i]);
			return -1;
		}
		text += len;
		text += *text == '\n';
	}
	*ret_found = ini.found;
	return 0;
}

/* --- where they are --- */

/* NULL: empty counts as unset. */
static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* The file that the variable names, or ~/.aws/NAME. NULL: there is no home. */
static char *file_of(const char *variable, const char *name)
{
	const char *path = env(variable), *home = env("HOME");

	if (path)
		return pv_xstrdup(path);
	return home ? pv_fmt("%s/.aws/%s", home, name) : NULL;
}

static const char *profile(void)
{
	const char *name = env("AWS_PROFILE");

	return name ? name : "default";
}

static int read_credentials(struct pv_aws *aws, struct pv_error *err)
{
	static const char *const keys[] = { "aws_access_key_id", "aws_secret_access_key", "aws_session_token" };
	char **const ret[] = { &aws->key_id, &aws->secret, &aws->token };
	pv_autofree char *path = file_of("AWS_SHARED_CREDENTIALS_FILE", "credentials"), *text = NULL;
	struct stat st;
	bool found;

	int rc = path ? stat(path, &st) : -1;
	if (!path || (rc < 0 && errno == ENOENT))
		return pv_error_set(err, PV_ERR_USAGE, "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
				    "put them into ~/.aws/credentials, of mode 0600");
	if (rc < 0)
		return pv_error_errno(err, PV_ERR_USAGE, errno, "%s", path);
	if (st.st_mode & 077)
		return pv_error_set(err, PV_ERR_USAGE, "%s: others can read it; chmod 600 %s", path, path);
	if (pv_read_file(path, FILE_MAX, &text, NULL, err) < 0 ||
	    pv_aws_ini(text, path, profile(), keys, ret, PV_COUNT(keys), &found, err) < 0)
		return -1;
	explicit_bzero(text, strlen(text));
	if (!found || !aws->key_id || !aws->secret)
		return pv_error_set(err, PV_ERR_USAGE, "%s: the profile %s has no aws_access_key_id with its "
				    "aws_secret_access_key; AWS_PROFILE names another one", path, profile());
	return 0;
}

static int read_config(struct pv_aws *aws, struct pv_error *err)
{
	static const char *const keys[] = { "region", "endpoint_url" };
	pv_autofree char *path = file_of("AWS_CONFIG_FILE", "config"), *text = NULL, *region = NULL, *endpoint = NULL;
	char **const ret[] = { &region, &endpoint };
	pv_autofree char *section = pv_streq(profile(), "default") ? pv_xstrdup("default") : pv_fmt("profile %s", profile());
	bool found;

	if (!path || !pv_exists(path))
		return 0;
	if (pv_read_file(path, FILE_MAX, &text, NULL, err) < 0 ||
	    pv_aws_ini(text, path, section, keys, ret, PV_COUNT(keys), &found, err) < 0)
		return -1;
	if (!aws->region)
		aws->region = pv_steal(&region);
	if (!aws->endpoint)
		aws->endpoint = pv_steal(&endpoint);
	return 0;
}

/* As it goes into a header: printable ASCII, no space. */
static bool word_ok(const char *word)
{
	size_t len = word ? strlen(word) : 0;

	for (size_t i = 0; i < len; i++)
		if (word[i] <= ' ' || word[i] >= 0x7f)
			return false;
	return len > 0 && len <= WORD_MAX;
}

int pv_aws_load(struct pv_aws *ret, struct pv_error *err)
{
	const char *key_id = env("AWS_ACCESS_KEY_ID"), *secret = env("AWS_SECRET_ACCESS_KEY");
	const char *region = env("AWS_REGION"), *endpoint = env("AWS_ENDPOINT_URL_S3");
	pv_autoaws aws = { .region = pv_xstrdup(region ? region : env("AWS_DEFAULT_REGION")),
			   .endpoint = pv_xstrdup(endpoint ? endpoint : env("AWS_ENDPOINT_URL")) };

	if (!key_id != !secret)
		return pv_error_set(err, PV_ERR_USAGE, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: one is set without "
				    "the other");
	if (key_id) {
		aws.key_id = pv_xstrdup(key_id);
		aws.secret = pv_xstrdup(secret);
		aws.token = pv_xstrdup(env("AWS_SESSION_TOKEN"));
	} else if (read_credentials(&aws, err) < 0) {
		return -1;
	}
	if (read_config(&aws, err) < 0)
		return -1;
	if (!word_ok(aws.key_id) || !word_ok(aws.secret) || (aws.token && !word_ok(aws.token)))
		return pv_error_set(err, PV_ERR_USAGE, "the key id, secret or session token has characters that none has");
	*ret = aws;
	aws = (struct pv_aws){ 0 };
	return 0;
}
