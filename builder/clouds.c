/* SPDX-License-Identifier: Apache-2.0 */
/* Reads clouds.yaml by libyaml's documents, where an alias is a number and nothing grows, and the OS_* variables. */
#include "clouds.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "fsutil.h"

#define FILE_MAX ((size_t)256 << 10)
#define VALUE_MAX 4096u			/* Keystone's tokens may have some 1000 bytes */

/* Below a cloud, or below its "auth". */
static const struct field {
	bool auth, secret;
	const char *key, *variable;
} fields[PV_CLOUD_FIELDS] = {
	[PV_CLOUD_AUTH_TYPE] = { false, false, "auth_type", "OS_AUTH_TYPE" },
	[PV_CLOUD_AUTH_URL] = { true, false, "auth_url", "OS_AUTH_URL" },
	[PV_CLOUD_USER] = { true, false, "username", "OS_USERNAME" },
	[PV_CLOUD_USER_ID] = { true, false, "user_id", "OS_USER_ID" },
	[PV_CLOUD_PASSWORD] = { true, true, "password", "OS_PASSWORD" },
	[PV_CLOUD_USER_DOMAIN] = { true, false, "user_domain_name", "OS_USER_DOMAIN_NAME" },
	[PV_CLOUD_USER_DOMAIN_ID] = { true, false, "user_domain_id", "OS_USER_DOMAIN_ID" },
	[PV_CLOUD_PROJECT] = { true, false, "project_name", "OS_PROJECT_NAME" },
	[PV_CLOUD_PROJECT_ID] = { true, false, "project_id", "OS_PROJECT_ID" },
	[PV_CLOUD_PROJECT_DOMAIN] = { true, false, "project_domain_name", "OS_PROJECT_DOMAIN_NAME" },
	[PV_CLOUD_PROJECT_DOMAIN_ID] = { true, false, "project_domain_id", "OS_PROJECT_DOMAIN_ID" },
	[PV_CLOUD_APP] = { true, false, "application_credential_name", "OS_APPLICATION_CREDENTIAL_NAME" },
	[PV_CLOUD_APP_ID] = { true, false, "application_credential_id", "OS_APPLICATION_CREDENTIAL_ID" },
	[PV_CLOUD_APP_SECRET] = { true, true, "application_credential_secret", "OS_APPLICATION_CREDENTIAL_SECRET" },
	[PV_CLOUD_TOKEN] = { true, true, "token", "OS_TOKEN" },
	[PV_CLOUD_REGION] = { false, false, "region_name", "OS_REGION_NAME" },
	[PV_CLOUD_INTERFACE] = { false, false, "interface", "OS_INTERFACE" },
	[PV_CLOUD_CACERT] = { false, false, "cacert", "OS_CACERT" },
	[PV_CLOUD_IMAGE_URL] = { false, false, "image_endpoint_override", "OS_IMAGE_ENDPOINT_OVERRIDE" },
};

static void forget(char **value)
{
	if (*value)
		explicit_bzero(*value, strlen(*value));
	pv_freep(value);
}

void pv_cloud_done(struct pv_cloud *c)
{
	pv_freep(&c->shown);
	for (size_t i = 0; i < PV_CLOUD_FIELDS; i++)
		forget(&c->v[i]);
}

/* --- one file --- */

static void parser_done(yaml_parser_t *parser)
{
	yaml_parser_delete(parser);
}

static void document_done(yaml_document_t *document)
{
	yaml_document_delete(document);
}

/* The value of a key in a mapping; the last one counts, as for Python's readers. NULL: there is none. */
static yaml_node_t *value_at(yaml_document_t *doc, const yaml_node_t *map, const char *key)
{
	yaml_node_t *ret = NULL;

	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
		const yaml_node_t *k = yaml_document_get_node(doc, p->key);

		if (k && k->type == YAML_SCALAR_NODE && k->data.scalar.length == strlen(key) &&
		    memcmp(k->data.scalar.value, key, strlen(key)) == 0)
			ret = yaml_document_get_node(doc, p->value);
	}
	return ret;
}

static int take_value(const yaml_node_t *node, const struct field *field, const char *file, char **ret,
		      struct pv_error *err)
{
	size_t len = node->type == YAML_SCALAR_NODE ? node->data.scalar.length : 0;
	const char *text = node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";

	if (node->type != YAML_SCALAR_NODE || len > VALUE_MAX || strlen(text) != len)
		return pv_error_set(err, PV_ERR_USAGE, "%s:%zu: %s: a text is wanted, of at most %u bytes", file,
				    node->start_mark.line + 1, field->key, VALUE_MAX);
	if (len == 0)
		return 0;
	forget(ret);
	*ret = pv_xstrdup(text);
	return 0;
}

/* What would change what the others mean. */
static int refuse_others(yaml_document_t *doc, const yaml_node_t *cloud, const char *file, struct pv_error *err)
{
	static const char *const off[] = { "false", "no", "off", "0" };
	const yaml_node_t *verify = value_at(doc, cloud, "verify");

	for (const char *const *key = (const char *const[]){ "profile", "cloud", "<<", NULL }; *key; key++)
		if (value_at(doc, cloud, *key))
			return pv_error_set(err, PV_ERR_USAGE, "%s: \"%s\" leads to settings that are elsewhere; write them "
					    "out here", file, *key);
	for (size_t i = 0; i < PV_COUNT(off) && verify && verify->type == YAML_SCALAR_NODE; i++)
		if (strcasecmp((const char *)verify->data.scalar.value, off[i]) == 0)
			return pv_error_set(err, PV_ERR_USAGE, "%s: \"verify\" is off, and certificates are always checked "
					    "here; name the CA (cacert, --ca FILE) or the certificate (--pin SHA256)", file);
	return 0;
}

static int take_cloud(yaml_document_t *doc, const yaml_node_t *cloud, const char *file, struct pv_cloud *ret,
		      bool *ret_secret, struct pv_error *err)
{
	const yaml_node_t *auth = value_at(doc, cloud, "auth");

	if (refuse_others(doc, cloud, file, err) < 0)
		return -1;
	for (size_t i = 0; i < PV_CLOUD_FIELDS; i++) {
		const yaml_node_t *node = value_at(doc, fields[i].auth ? auth : cloud, fields[i].key);

		if (!node)
			continue;
		if (take_value(node, &fields[i], file, &ret->v[i], err) < 0)
			return -1;
		*ret_secret = *ret_secret || fields[i].secret;
	}
	return 0;
}

int pv_cloud_parse(const char *text, size_t len, const char *file, const char *name, struct pv_cloud *ret,
		   bool *ret_found, bool *ret_secret, struct pv_error *err)
{
	__attribute__((cleanup(parser_done))) yaml_parser_t parser;
	__attribute__((cleanup(document_done))) yaml_document_t doc;

	memset(&doc, 0, sizeof(doc));
	*ret_found = *ret_secret = false;
	if (!yaml_parser_initialize(&parser))
		return pv_error_set(err, PV_ERR_HOST, "libyaml: cannot start");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &doc))		/* its own words may quote the text */
		return pv_error_set(err, PV_ERR_USAGE, "%s:%zu: is no YAML", file, parser.problem_mark.line + 1);
	const yaml_node_t *cloud = value_at(&doc, value_at(&doc, yaml_document_get_root_node(&doc), "clouds"), name);
	if (!cloud)
		return 0;
	*ret_found = true;
	return take_cloud(&doc, cloud, file, ret, ret_secret, err);
}

/* --- which files --- */

/* The first that is there of VARIABLE, ./FILE, ~/.config/openstack/FILE, /etc/openstack/FILE; NULL. The caller frees. */
static char *find_file(const char *variable, const char *file)
{
	const char *said = getenv(variable), *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
	char *places[4] = { NULL };
	char *ret = NULL;

	if (said && *said)
		return pv_xstrdup(said);
	places[0] = pv_xstrdup(file);
	if (config && *config)
		places[1] = pv_fmt("%s/openstack/%s", config, file);
	else if (home && *home)
		places[1] = pv_fmt("%s/.config/openstack/%s", home, file);
	places[2] = pv_fmt("/etc/openstack/%s", file);
	for (size_t i = 0; i < PV_COUNT(places); i++) {
		if (!ret && places[i] && access(places[i], R_OK) == 0)
			ret = pv_steal(&places[i]);
		free(places[i]);
	}
	return ret;
}

static int check_closed(const char *path, struct pv_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0 || st.st_uid != geteuid())
		return pv_error_set(err, PV_ERR_USAGE, "%s: has a password and is somebody else's; keep a copy of your own, "
				    "of mode 0600", path);
	if (st.st_mode & 077)
		return pv_error_set(err, PV_ERR_USAGE, "%s: has a password, and others can read it; chmod 600 %s", path, path);
	return 0;
}

/* A file that is not there says nothing. */
static int take_file(const char *path, const char *name, struct pv_cloud *ret, bool *ret_found, struct pv_error *err)
{
	pv_autofree char *text = NULL, *shown = NULL;
	bool secret = false;
	size_t len;

	*ret_found = false;
	if (!path)
		return 0;
	if (pv_read_file(path, FILE_MAX, &text, &len, err) < 0) {
		if (err)
			err->kind = PV_ERR_USAGE;
		return -1;
	}
	shown = pv_printable(path, strlen(path));
	int rc = pv_cloud_parse(text, len, shown, name, ret, ret_found, &secret, err);
	explicit_bzero(text, len);
	return rc == 0 && secret ? check_closed(path, err) : rc;
}

int pv_cloud_load(const char *name, struct pv_cloud *ret, struct pv_error *err)
{
	pv_autocloud c = { .shown = NULL };
	pv_autofree char *clouds = NULL, *secure = NULL;
	bool found, more;

	if (pv_streq(name, PV_CLOUD_ENVIRONMENT)) {
		if (pv_cloud_from_environment(&c, err) < 0)
			return -1;
		if (!c.v[PV_CLOUD_AUTH_URL] && !c.v[PV_CLOUD_IMAGE_URL])
			return pv_error_set(err, PV_ERR_USAGE, "glance://" PV_CLOUD_ENVIRONMENT ": OS_AUTH_URL is not set");
	} else {
		c.shown = pv_fmt("cloud %s", name);
		clouds = find_file("OS_CLIENT_CONFIG_FILE", "clouds.yaml");
		secure = find_file("OS_CLIENT_SECURE_FILE", "secure.yaml");
		if (!clouds)
			return pv_error_set(err, PV_ERR_USAGE, "glance://%s: there is no clouds.yaml here, in "
					    "~/.config/openstack or /etc/openstack; for a host write glance://%s/", name, name);
		if (take_file(clouds, name, &c, &found, err) < 0 || take_file(secure, name, &c, &more, err) < 0)
			return -1;
		if (!found)
			return pv_error_set(err, PV_ERR_USAGE, "glance://%s: no cloud of that name in %s; for a host write "
					    "glance://%s/", name, clouds, name);
		if (pv_cloud_complete(&c, err) < 0)
			return -1;
	}
	*ret = c;
	memset(&c, 0, sizeof(c));
	return 0;
}

/* --- the variables --- */

int pv_cloud_from_environment(struct pv_cloud *ret, struct pv_error *err)
{
	pv_autocloud c = { .shown = pv_xstrdup("OS_* variables") };

	for (size_t i = 0; i < PV_CLOUD_FIELDS; i++) {
		const char *value = getenv(fields[i].variable);

		if (value && *value)
			c.v[i] = pv_xstrdup(value);
	}
	if (pv_cloud_complete(&c, err) < 0)
		return -1;
	*ret = c;
	memset(&c, 0, sizeof(c));
	return 0;
}

/* --- what all of it means --- */

static int missing(const struct pv_cloud *c, enum pv_cloud_field field, struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_USAGE, "%s: %s is missing (%s)", c->shown, fields[field].key, fields[field].variable);
}

/* By auth_type where that is said, else by what is there. */
static int find_auth(struct pv_cloud *c, struct pv_error *err)
{
	static const struct {
		const char *word;
		enum pv_cloud_auth auth;
	} types[] = {
		{ "none", PV_CLOUD_NO_AUTH },
		{ "password", PV_CLOUD_BY_PASSWORD },
		{ "v3password", PV_CLOUD_BY_PASSWORD },
		{ "v3applicationcredential", PV_CLOUD_BY_APP },
		{ "token", PV_CLOUD_BY_TOKEN },
		{ "v3token", PV_CLOUD_BY_TOKEN },
	};
	char *const *v = c->v;

	for (size_t i = 0; i < PV_COUNT(types) && v[PV_CLOUD_AUTH_TYPE]; i++) {
		if (pv_streq(v[PV_CLOUD_AUTH_TYPE], types[i].word)) {
			c->auth = types[i].auth;
			return 0;
		}
	}
	if (v[PV_CLOUD_AUTH_TYPE])
		return pv_error_set(err, PV_ERR_USAGE, "%s: auth_type: password, v3applicationcredential, token and none are "
				    "known here", c->shown);
	if (v[PV_CLOUD_APP_SECRET])
		c->auth = PV_CLOUD_BY_APP;
	else if (v[PV_CLOUD_TOKEN])
		c->auth = v[PV_CLOUD_AUTH_URL] ? PV_CLOUD_BY_TOKEN : PV_CLOUD_OWN_TOKEN;
	else if (v[PV_CLOUD_PASSWORD] || v[PV_CLOUD_AUTH_URL])
		c->auth = PV_CLOUD_BY_PASSWORD;
	else
		c->auth = PV_CLOUD_NO_AUTH;
	return 0;
}

static int check_auth(const struct pv_cloud *c, struct pv_error *err)
{
	char *const *v = c->v;

	if (c->auth == PV_CLOUD_NO_AUTH || c->auth == PV_CLOUD_OWN_TOKEN)
		return 0;
	if (!v[PV_CLOUD_AUTH_URL])
		return missing(c, PV_CLOUD_AUTH_URL, err);
	if (c->auth == PV_CLOUD_BY_TOKEN)
		return v[PV_CLOUD_TOKEN] ? 0 : missing(c, PV_CLOUD_TOKEN, err);
	if (c->auth == PV_CLOUD_BY_APP && !v[PV_CLOUD_APP_SECRET])
		return missing(c, PV_CLOUD_APP_SECRET, err);
	if (c->auth == PV_CLOUD_BY_APP && v[PV_CLOUD_APP_ID])
		return 0;
	if (c->auth == PV_CLOUD_BY_APP && !v[PV_CLOUD_APP])
		return missing(c, PV_CLOUD_APP_ID, err);
	if (!v[PV_CLOUD_USER] && !v[PV_CLOUD_USER_ID])
		return missing(c, PV_CLOUD_USER, err);
	if (c->auth == PV_CLOUD_BY_PASSWORD && !v[PV_CLOUD_PASSWORD])
		return missing(c, PV_CLOUD_PASSWORD, err);
	return 0;
}

int pv_cloud_complete(struct pv_cloud *c, struct pv_error *err)
{
	static const char *const usual[] = { "public", "internal", "admin", NULL };
	char **interface = &c->v[PV_CLOUD_INTERFACE];

	if (*interface && pv_ends(*interface, "URL"))		/* as older files have it: publicURL */
		(*interface)[strlen(*interface) - 3] = '\0';
	if (!*interface)
		*interface = pv_xstrdup("public");
	if (!pv_streq(*interface, usual[0]) && !pv_streq(*interface, usual[1]) && !pv_streq(*interface, usual[2]))
		return pv_error_set(err, PV_ERR_USAGE, "%s: interface: public, internal or admin is wanted", c->shown);
	if (find_auth(c, err) < 0)
		return -1;
	return check_auth(c, err);
}
