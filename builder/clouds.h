/* SPDX-License-Identifier: Apache-2.0 */
/* Which OpenStack cloud is meant, and how to log in there: clouds.yaml and secure.yaml, or the OS_* variables.
 * Sources for names and places: docs of openstacksdk, user/config/configuration; python-openstackclient, cli/man. */
#ifndef PV_CLOUDS_H
#define PV_CLOUDS_H

#include <stdbool.h>

#include "error.h"
#include "text.h"

enum pv_cloud_field {
	PV_CLOUD_AUTH_TYPE,
	PV_CLOUD_AUTH_URL,
	PV_CLOUD_USER,
	PV_CLOUD_USER_ID,
	PV_CLOUD_PASSWORD,
	PV_CLOUD_USER_DOMAIN,
	PV_CLOUD_USER_DOMAIN_ID,
	PV_CLOUD_PROJECT,
	PV_CLOUD_PROJECT_ID,
	PV_CLOUD_PROJECT_DOMAIN,
	PV_CLOUD_PROJECT_DOMAIN_ID,
	PV_CLOUD_APP,				/* an application credential */
	PV_CLOUD_APP_ID,
	PV_CLOUD_APP_SECRET,
	PV_CLOUD_TOKEN,
	PV_CLOUD_REGION,
	PV_CLOUD_INTERFACE,			/* never NULL once loaded: public, internal or admin */
	PV_CLOUD_CACERT,
	PV_CLOUD_IMAGE_URL,			/* where images go, whatever the catalog says */
	PV_CLOUD_FIELDS
};

enum pv_cloud_auth {
	PV_CLOUD_NO_AUTH,
	PV_CLOUD_BY_PASSWORD,
	PV_CLOUD_BY_APP,
	PV_CLOUD_BY_TOKEN,			/* a token in exchange for another one */
	PV_CLOUD_OWN_TOKEN,			/* without AUTH_URL: this very token */
};

struct pv_cloud {
	char *shown;				/* "cloud NAME", "OS_* variables": for messages */
	char *v[PV_CLOUD_FIELDS];		/* owned; NULL: not said */
	enum pv_cloud_auth auth;
};
void pv_cloud_done(struct pv_cloud *c);		/* secrets are wiped */
#define pv_autocloud __attribute__((cleanup(pv_cloud_done))) struct pv_cloud

/* The name of the cloud that stands for the variables. */
#define PV_CLOUD_ENVIRONMENT "envvars"

/* The cloud of that name: of OS_CLIENT_CONFIG_FILE, else the first that is there of ./clouds.yaml,
 * ~/.config/openstack/clouds.yaml and /etc/openstack/clouds.yaml; what secure.yaml (OS_CLIENT_SECURE_FILE, the same
 * places) says comes on top. PV_CLOUD_ENVIRONMENT is the variables alone. A file with a password, secret or token must be
 * the caller's own and closed to everybody else. PV_ERR_USAGE; no value of a file is in the words. */
int pv_cloud_load(const char *name, struct pv_cloud *ret, struct pv_error *err) PV_MUST_CHECK;
/* The variables; without any that logs in, NO_AUTH. PV_ERR_USAGE. */
int pv_cloud_from_environment(struct pv_cloud *ret, struct pv_error *err) PV_MUST_CHECK;

/* Pure part of pv_cloud_load, for tests and the fuzzer: takes what a file's text says of that cloud into ret->v.
 * ret_found: the cloud is in it; ret_secret: it has a secret of that cloud. */
int pv_cloud_parse(const char *text, size_t len, const char *file, const char *name, struct pv_cloud *ret,
		   bool *ret_found, bool *ret_secret, struct pv_error *err) PV_MUST_CHECK;
/* Decides how to log in, fills in what has a usual value, and refuses what is incomplete. */
int pv_cloud_complete(struct pv_cloud *c, struct pv_error *err) PV_MUST_CHECK;

#endif
