/* SPDX-License-Identifier: Apache-2.0 */
/* clouds.yaml and the OS_* variables: which cloud, how to log in, and what is refused without a word of a secret. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "scratch.h"

#include "clouds.h"
#include "fsutil.h"

static const char lab[] = "clouds:\n"
			  "  other: { auth: { password: wrong } }\n"
			  "  lab:\n"
			  "    region_name: one\n"
			  "    interface: internalURL\n"
			  "    identity_api_version: 3\n"
			  "    regions: [ { name: one, values: { deep: { deeper: [1] } } } ]\n"
			  "    auth: &auth\n"
			  "      auth_url: https://id.example.org:5000\n"
			  "      username: tester\n"
			  "      user_domain_name: Lab\n"
			  "      project_name: images\n"
			  "      password: first\n"
			  "      password: \"pass word\"\n"
			  "  twin: { auth: *auth }\n";

static void put(const char *name, const char *text, mode_t mode)
{
	assert_int_equal(pv_write_file(name, text, strlen(text), mode, NULL), 0);
}

/* No variable of the caller's. */
static int begin(void **state)
{
	static const char *const variables[] = { "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE", "OS_AUTH_URL", "OS_USERNAME",
						 "OS_PASSWORD", "OS_TOKEN", "OS_AUTH_TYPE", "OS_APPLICATION_CREDENTIAL_ID",
						 "OS_APPLICATION_CREDENTIAL_SECRET", "OS_PROJECT_NAME", "OS_INTERFACE" };

	for (size_t i = 0; i < PV_COUNT(variables); i++)
		unsetenv(variables[i]);
	setenv("HOME", "home", 1);
	unsetenv("XDG_CONFIG_HOME");
	return scratch_enter(state);
}

static void test_cloud(void **state)
{
	pv_autocloud c = { 0 }, twin = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	put("clouds.yaml", lab, 0600);
	assert_int_equal(pv_cloud_load("lab", &c, &err), 0);
	assert_string_equal(c.v[PV_CLOUD_PASSWORD], "pass word");
	assert_string_equal(c.v[PV_CLOUD_REGION], "one");
	assert_string_equal(c.v[PV_CLOUD_INTERFACE], "internal");
	assert_string_equal(c.v[PV_CLOUD_USER_DOMAIN], "Lab");
	assert_int_equal(c.auth, PV_CLOUD_BY_PASSWORD);
	assert_int_equal(pv_cloud_load("twin", &twin, &err), 0);
	assert_string_equal(twin.v[PV_CLOUD_PASSWORD], "pass word");
	assert_string_equal(twin.v[PV_CLOUD_INTERFACE], "public");
}

/* A fault is PV_ERR_USAGE with these words, and without the secret. */
static void refused(const char *name, const char *words)
{
	pv_autocloud c = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_cloud_load(name, &c, &err), -1);
	assert_int_equal(err.kind, PV_ERR_USAGE);
	if (!strstr(err.text, words))
		fail_msg("no word of \"%s\": %s", words, err.text);
	assert_null(strstr(err.text, "sesame"));
	pv_error_clear(&err);
}

static void test_places(void **state)
{
	pv_autocloud c = { 0 };

	(void)state;
	refused("lab", "there is no clouds.yaml");
	assert_int_equal(pv_mkdirs("home/.config/openstack", 0755, NULL), 0);
	put("home/.config/openstack/clouds.yaml", lab, 0600);
	assert_int_equal(pv_cloud_load("lab", &c, NULL), 0);
	put("clouds.yaml", "clouds: {}\n", 0600);
	refused("lab", "no cloud of that name in clouds.yaml");
	setenv("OS_CLIENT_CONFIG_FILE", "elsewhere.yaml", 1);
	refused("lab", "elsewhere.yaml");
}

static void test_who_may_read(void **state)
{
	pv_autocloud c = { 0 };

	(void)state;
	put("clouds.yaml", "clouds: { lab: { auth: { auth_url: 'https://x', username: u, password: sesame } } }\n", 0640);
	refused("lab", "chmod 600 clouds.yaml");
	put("clouds.yaml", "clouds: { lab: { auth: { auth_url: 'https://x', username: u } } }\n", 0644);
	refused("lab", "password is missing");
	put("secure.yaml", "clouds: { lab: { auth: { password: sesame } } }\n", 0604);
	refused("lab", "chmod 600 secure.yaml");
	put("secure.yaml", "clouds: { lab: { auth: { password: sesame } } }\n", 0600);
	assert_int_equal(pv_cloud_load("lab", &c, NULL), 0);
	assert_string_equal(c.v[PV_CLOUD_PASSWORD], "sesame");
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "clouds: { lab: { auth: { auth_url: 'https://x', password: sesame } } }", "username is missing (OS_USERNAME)" },
		{ "clouds: { lab: { auth: { username: u, password: sesame } } }", "auth_url is missing" },
		{ "clouds: { lab: { auth_type: v3oidcpassword, auth: { password: sesame } } }", "auth_type" },
		{ "clouds: { lab: { verify: False, auth: { password: sesame } } }", "certificates are always checked" },
		{ "clouds: { lab: { profile: vexxhost, auth: { password: sesame } } }", "profile" },
		{ "clouds: { lab: { interface: inner, auth: { auth_url: x, token: sesame } } }", "interface" },
		{ "clouds: { lab: { auth: { password: [sesame] } } }", "password: a text is wanted" },
		{ "clouds: { lab: { auth: { password: 'sesame } } }", ": is no YAML" },
		{ "clouds: { lab: { auth: { application_credential_secret: sesame, auth_url: x } } }",
		  "application_credential_id is missing" },
		{ "clouds: [ lab ]", "no cloud of that name" },
		{ "", "no cloud of that name" },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		put("clouds.yaml", cases[i].text, 0600);
		refused("lab", cases[i].words);
	}
}

static void test_environment(void **state)
{
	pv_autocloud none = { 0 }, token = { 0 }, app = { 0 };

	(void)state;
	assert_int_equal(pv_cloud_from_environment(&none, NULL), 0);
	assert_int_equal(none.auth, PV_CLOUD_NO_AUTH);
	refused("envvars", "OS_AUTH_URL is not set");
	setenv("OS_TOKEN", "sesame", 1);
	assert_int_equal(pv_cloud_from_environment(&token, NULL), 0);
	assert_int_equal(token.auth, PV_CLOUD_OWN_TOKEN);
	setenv("OS_AUTH_URL", "https://id.example.org", 1);
	setenv("OS_APPLICATION_CREDENTIAL_ID", "a", 1);
	setenv("OS_APPLICATION_CREDENTIAL_SECRET", "sesame", 1);
	assert_int_equal(pv_cloud_load("envvars", &app, NULL), 0);
	assert_int_equal(app.auth, PV_CLOUD_BY_APP);
	setenv("OS_AUTH_TYPE", "password", 1);
	refused("envvars", "username is missing");
	unsetenv("OS_AUTH_TYPE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cloud, begin, scratch_leave),
		cmocka_unit_test_setup_teardown(test_places, begin, scratch_leave),
		cmocka_unit_test_setup_teardown(test_who_may_read, begin, scratch_leave),
		cmocka_unit_test_setup_teardown(test_refused, begin, scratch_leave),
		cmocka_unit_test_setup_teardown(test_environment, begin, scratch_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
