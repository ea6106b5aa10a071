/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials and settings of ~/.aws and the AWS_* variables, and what is refused without a word of a secret. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "scratch.h"

#include "aws.h"
#include "fsutil.h"

static const char credentials[] = "# comment\n"
				  "[default]\n"
				  "aws_access_key_id = AKDEFAULT\n"
				  "aws_secret_access_key=sesame=/+\n"
				  "; another\n"
				  "[ci]\r\n"
				  "aws_access_key_id = AKCI\r\n"
				  "aws_secret_access_key = open\r\n"
				  "aws_session_token = tok\r\n"
				  "unknown = 1\n";
static const char config[] = "[default]\nregion = eu-central-1\ns3 =\n    addressing_style = path\n    region = nested\n"
			     "[profile ci]\nregion=us-west-2\nendpoint_url = https://s3.example.org\n";

static void put(const char *name, const char *text, mode_t mode)
{
	assert_int_equal(pv_write_file(name, text, strlen(text), mode, NULL), 0);
	assert_int_equal(chmod(name, mode), 0);
}

/* No variable of the caller's. */
static int begin(void **state)
{
	static const char *const variables[] = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
						 "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
						 "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE" };

	for (size_t i = 0; i < PV_COUNT(variables); i++)
		unsetenv(variables[i]);
	setenv("HOME", "home", 1);
	if (scratch_enter(state) < 0)
		return -1;
	return pv_mkdirs("home/.aws", 0700, NULL);
}

static void test_files(void **state)
{
	pv_autoaws aws = { 0 }, ci = { 0 };

	(void)state;
	put("home/.aws/credentials", credentials, 0600);
	put("home/.aws/config", config, 0644);
	assert_int_equal(pv_aws_load(&aws, NULL), 0);
	assert_string_equal(aws.key_id, "AKDEFAULT");
	assert_string_equal(aws.secret, "sesame=/+");
	assert_null(aws.token);
	assert_string_equal(aws.region, "eu-central-1");
	assert_null(aws.endpoint);
	setenv("AWS_PROFILE", "ci", 1);
	assert_int_equal(pv_aws_load(&ci, NULL), 0);
	assert_string_equal(ci.key_id, "AKCI");
	assert_string_equal(ci.secret, "open");
	assert_string_equal(ci.token, "tok");
	assert_string_equal(ci.region, "us-west-2");
	assert_string_equal(ci.endpoint, "https://s3.example.org");
}

static void test_environment(void **state)
{
	pv_autoaws aws = { 0 };

	(void)state;
	put("home/.aws/credentials", credentials, 0600);
	put("home/.aws/config", config, 0644);
	setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "envsecret", 1);
	setenv("AWS_DEFAULT_REGION", "second", 1);
	setenv("AWS_REGION", "first", 1);
	setenv("AWS_ENDPOINT_URL", "https://all", 1);
	setenv("AWS_ENDPOINT_URL_S3", "https://s3", 1);
	assert_int_equal(pv_aws_load(&aws, NULL), 0);
	assert_string_equal(aws.key_id, "AKENV");
	assert_string_equal(aws.secret, "envsecret");
	assert_null(aws.token);
	assert_string_equal(aws.region, "first");
	assert_string_equal(aws.endpoint, "https://s3");
}

/* What is refused, with a word of why and none of a secret. */
static void refused(const char *word)
{
	pv_autoaws aws = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_aws_load(&aws, &err), -1);
	assert_int_equal(err.kind, PV_ERR_USAGE);
	if (!strstr(err.text, word))
		fail_msg("no word of \"%s\": %s", word, err.text);
	assert_null(strstr(err.text, "sesame"));
}

static void test_refused(void **state)
{
	(void)state;
	refused("no credentials");
	put("home/.aws/credentials", credentials, 0644);
	refused("chmod 600");
	put("home/.aws/credentials", credentials, 0600);
	setenv("AWS_PROFILE", "nobody", 1);
	refused("the profile nobody");
	unsetenv("AWS_PROFILE");
	put("home/.aws/credentials", "[default]\naws_access_key_id = AK\n", 0600);
	refused("aws_secret_access_key");
	put("home/.aws/credentials", "[default]\naws_access_key_id = AK\naws_access_key_id = AL\n", 0600);
	refused("line 3: aws_access_key_id is there twice");
	put("home/.aws/credentials", "[default\naws_access_key_id = AK\n", 0600);
	refused("line 1: a section without its end");
	put("home/.aws/credentials", "[default]\nsesame\n", 0600);
	refused("line 2: neither a section nor a setting");
	put("home/.aws/credentials", "[default]\naws_access_key_id = A K\naws_secret_access_key = sesame\n", 0600);
	refused("characters that none has");
	setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	refused("one is set without the other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, begin, scratch_leave),
		cmocka_unit_test_setup_teardown(test_environment, begin, scratch_leave),
		cmocka_unit_test_setup_teardown(test_refused, begin, scratch_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
