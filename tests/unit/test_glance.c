/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to Keystone and Glance, and what is made of their answers. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "glance_json.h"
#include "keystone.h"
#include "xapi_rpc.h"

static struct pv_cloud cloud(enum pv_cloud_auth auth)
{
	struct pv_cloud c = { .shown = pv_xstrdup("cloud lab"), .auth = auth };

	c.v[PV_CLOUD_AUTH_URL] = pv_xstrdup("https://id.example.org/identity/");
	c.v[PV_CLOUD_USER] = pv_xstrdup("te\"ster");
	c.v[PV_CLOUD_PASSWORD] = pv_xstrdup("pass word");
	c.v[PV_CLOUD_INTERFACE] = pv_xstrdup("public");
	return c;
}

static void test_url(void **state)
{
	static const struct {
		const char *url, *tokens;
	} cases[] = {
		{ "https://id.example.org/identity/", "https://id.example.org/identity/v3/auth/tokens" },
		{ "https://id.example.org:5000/v3//", "https://id.example.org:5000/v3/auth/tokens" },
		{ "https://id.example.org:5000/v2.0", NULL },
		{ "id.example.org", NULL },
		{ "https://me:sesame@id.example.org", NULL },
		{ "file:///etc", NULL },
	};
	pv_autocloud c = cloud(PV_CLOUD_BY_PASSWORD);

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autofree char *url = NULL;
		pv_autoerror err = PV_ERROR_INIT;

		pv_freep(&c.v[PV_CLOUD_AUTH_URL]);
		c.v[PV_CLOUD_AUTH_URL] = pv_xstrdup(cases[i].url);
		assert_int_equal(pv_keystone_url(&c, &url, &err), cases[i].tokens ? 0 : -1);
		if (cases[i].tokens)
			assert_string_equal(url, cases[i].tokens);
		else
			assert_null(strstr(err.text, "sesame"));
	}
}

static void test_login(void **state)
{
	pv_autocloud c = cloud(PV_CLOUD_BY_PASSWORD);
	pv_autofree char *password = NULL, *app = NULL, *token = NULL;

	(void)state;
	c.v[PV_CLOUD_PROJECT] = pv_xstrdup("images");
	c.v[PV_CLOUD_PROJECT_DOMAIN] = pv_xstrdup("Lab");
	password = pv_keystone_request(&c);
	assert_string_equal(password,
		"{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{\"name\":\"te\\\"ster\","
		"\"domain\":{\"id\":\"default\"},\"password\":\"pass word\"}}},"
		"\"scope\":{\"project\":{\"name\":\"images\",\"domain\":{\"name\":\"Lab\"}}}}}");
	c.auth = PV_CLOUD_BY_APP;
	c.v[PV_CLOUD_APP_SECRET] = pv_xstrdup("s");
	c.v[PV_CLOUD_APP_ID] = pv_xstrdup("i");
	app = pv_keystone_request(&c);
	assert_string_equal(app, "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
				 "\"application_credential\":{\"secret\":\"s\",\"id\":\"i\"}}}}");
	c.auth = PV_CLOUD_BY_TOKEN;
	c.v[PV_CLOUD_TOKEN] = pv_xstrdup("t");
	c.v[PV_CLOUD_PROJECT_ID] = pv_xstrdup("p1");
	token = pv_keystone_request(&c);
	assert_string_equal(token, "{\"auth\":{\"identity\":{\"methods\":[\"token\"],\"token\":{\"id\":\"t\"}},"
				   "\"scope\":{\"project\":{\"id\":\"p1\"}}}}");
	pv_freep(&c.v[PV_CLOUD_PASSWORD]);
	c.v[PV_CLOUD_PASSWORD] = pv_xstrdup("\xff");
	assert_null(pv_keystone_request(&c));
}

static const char catalog[] =
	"{\"token\":{\"project\":{\"id\":\"p1\"},\"catalog\":["
	"{\"type\":\"identity\",\"endpoints\":[{\"interface\":\"public\",\"region\":\"one\",\"url\":\"https://id\"}]},"
	"{\"type\":\"image\",\"endpoints\":["
	"{\"interface\":\"internal\",\"region\":\"one\",\"url\":\"http://10.0.0.1:9292\"},"
	"{\"interface\":\"public\",\"region\":\"one\",\"url\":\"https://one/image\"},"
	"{\"interface\":\"public\",\"region\":\"x\",\"region_id\":\"two\",\"url\":\"https://two/image\"}, 7]}]}}";

static void test_catalog(void **state)
{
	pv_autocloud c = cloud(PV_CLOUD_BY_PASSWORD);
	pv_autotoken any = { 0 }, two = { 0 }, none = { 0 }, bare = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_keystone_answer(catalog, strlen(catalog), "id", &c, &any, &err), 0);
	assert_string_equal(any.project, "p1");
	assert_string_equal(any.image_url, "https://one/image");
	assert_int_equal(any.regions, 2);
	c.v[PV_CLOUD_REGION] = pv_xstrdup("two");
	assert_int_equal(pv_keystone_answer(catalog, strlen(catalog), "id", &c, &two, &err), 0);
	assert_string_equal(two.image_url, "https://two/image");
	assert_int_equal(two.regions, 1);
	pv_freep(&c.v[PV_CLOUD_INTERFACE]);
	c.v[PV_CLOUD_INTERFACE] = pv_xstrdup("admin");
	assert_int_equal(pv_keystone_answer(catalog, strlen(catalog), "id", &c, &none, &err), 0);
	assert_null(none.image_url);
	assert_int_equal(pv_keystone_answer("{\"token\":{}}", 12, "id", &c, &bare, &err), 0);
	assert_null(bare.project);
	assert_int_equal(pv_keystone_answer("{\"tok\":{}}", 10, "https://id", &c, &bare, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_non_null(strstr(err.text, "https://id: the answer is no token"));
}

static const char record[] = "{\"id\":\"4a-b\",\"name\":\"x\",\"status\":\"active\",\"size\":7,\"owner\":null,\"os_hidden\":true,"
			     "\"pvimg_serial\":\"12\",\"pvimg_name\":\"n\",\"updated_at\":\"1970-01-02T00:00:01Z\"}";

static void test_record(void **state)
{
	pv_autoglanceimage i = { 0 }, bad = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_glance_read_image(record, strlen(record), "img", &i, &err), 0);
	assert_string_equal(i.id, "4a-b");
	assert_string_equal(i.owner, "");
	assert_string_equal(i.of, "n");
	assert_string_equal(i.hash_value, "");
	assert_int_equal(i.size, 7);
	assert_int_equal(i.serial, 12);
	assert_int_equal(i.updated, 86401);
	assert_true(i.hidden);
	for (const char *const *id = (const char *const[]){ "{\"id\":\"../x\"}", "{\"id\":\"\"}", "{\"id\":7}", "[]", "{", "",
							    "{\"id\":\"a?b\"}", NULL };
	     *id; id++) {
		pv_error_clear(&err);
		assert_int_equal(pv_glance_read_image(*id, strlen(*id), "img", &bad, &err), -1);
		assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	}
}

static void test_page(void **state)
{
	static const char one[] = "{\"images\":[{\"id\":\"a\",\"pvimg_serial\":\"2\"},{\"id\":\"b\",\"pvimg_serial\":\"10\"}],"
				  "\"next\":\"/v2/images?marker=b\"}",
			  last[] = "{\"images\":[{\"id\":\"c\",\"pvimg_serial\":\"10\"},{\"id\":\"d\",\"pvimg_serial\":\"-1\"}]}",
			  empty[] = "{\"images\":[],\"next\":\"/again\"}", bad[] = "{\"images\":[{\"id\":\"e\"},{}]}";
	pv_autoglanceimages all = { 0 };
	bool more;

	(void)state;
	assert_int_equal(pv_glance_read_page(one, strlen(one), "img", &all, &more, NULL), 0);
	assert_true(more);
	assert_int_equal(pv_glance_read_page(last, strlen(last), "img", &all, &more, NULL), 0);
	assert_false(more);
	pv_glance_sort(&all);
	assert_int_equal(all.n, 4);
	assert_string_equal(all.v[0].id, "c");
	assert_string_equal(all.v[1].id, "b");
	assert_string_equal(all.v[2].id, "a");
	assert_string_equal(all.v[3].id, "d");
	assert_int_equal(pv_glance_read_page(empty, strlen(empty), "img", &all, &more, NULL), 0);
	assert_false(more);
	assert_int_equal(pv_glance_read_page(bad, strlen(bad), "img", &all, &more, NULL), -1);
	assert_int_equal(pv_glance_read_page("[]", 2, "img", &all, &more, NULL), -1);
}

/* What the side file says, our names and formats over it. */
static void test_new(void **state)
{
	const struct pv_machine m = { .name = (char *)"debian-2g", .distribution = (char *)"debian", .version = (char *)"12",
				      .memory = UINT64_C(2) << 30, .vcpus = 2 };
	const struct pv_glance_new new = { .id = "1-2", .name = "debian-2g.uploading-1", .disk_format = "qcow2",
					   .container_format = "bare", .visibility = "shared", .sha256 = "00",
					   .machine = &m, .disk_size = (UINT64_C(3) << 30) + 1 };
	pv_autofree char *text = pv_glance_new(&new), *patch = pv_glance_patch_name("debian-2g", 7);
	pv_autojson *root = json_loads(text, 0, NULL), *list = json_loads(patch, 0, NULL);
	static const char *const texts[][2] = {
		{ "id", "1-2" }, { "name", "debian-2g.uploading-1" }, { "disk_format", "qcow2" }, { "container_format", "bare" },
		{ "visibility", "shared" }, { "vm_mode", "hvm" }, { "hypervisor_type", "xen" }, { "os_distro", "debian" },
		{ "os_version", "12" }, { "pvimg_name", "debian-2g" }, { "pvimg_sha256", "00" },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(texts); i++)
		assert_string_equal(json_string_value(json_object_get(root, texts[i][0])), texts[i][1]);
	assert_int_equal(json_integer_value(json_object_get(root, "min_ram")), 2048);
	assert_int_equal(json_integer_value(json_object_get(root, "min_disk")), 4);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "value")), "7");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "path")), "/name");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "value")), "debian-2g");
}

static void test_base(void **state)
{
	static const struct {
		const char *url, *base;
	} cases[] = {
		{ "https://host", "https://host/v2" },
		{ "https://host:9292/", "https://host:9292/v2" },
		{ "https://host/image/v2", "https://host/image/v2" },
		{ "https://host/image/v2.0/", "https://host/image/v2" },
		{ "http://127.0.0.1:9292/v2/", "http://127.0.0.1:9292/v2" },
		{ "https://host/v2x", "https://host/v2x/v2" },
		{ "https://me:sesame@host", NULL },
		{ "file:///x", NULL },
		{ "https://host/a?b", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autofree char *base = NULL;
		pv_autoerror err = PV_ERROR_INIT;

		assert_int_equal(pv_glance_base(cases[i].url, &base, &err), cases[i].base ? 0 : -1);
		if (cases[i].base)
			assert_string_equal(base, cases[i].base);
		else
			assert_null(strstr(err.text, "sesame"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url),    cmocka_unit_test(test_login), cmocka_unit_test(test_catalog),
		cmocka_unit_test(test_record), cmocka_unit_test(test_page),  cmocka_unit_test(test_new),
		cmocka_unit_test(test_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
