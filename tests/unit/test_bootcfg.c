/* SPDX-License-Identifier: Apache-2.0 */
/* GRUB's stubs and the ESP's list of files, with and without signed ones. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bootcfg.h"
#include "fsutil.h"

#define UUID "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a"

struct world {
	char root[64];
	struct pv_plan plan;
};

static void put(const char *dir, const char *path, const char *text)
{
	pv_autofree char *full = pv_path_join(dir, path);
	pv_autofree char *parent = pv_xstrndup(full, (size_t)(strrchr(full, '/') - full));
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_mkdirs(parent, 0755, &err), 0);
	assert_int_equal(pv_write_file(full, text, strlen(text), 0644, &err), 0);
}

static int set_up(void **state)
{
	struct world *w = pv_xcalloc(1, sizeof(*w));

	strcpy(w->root, "/tmp/pvimg-test-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	w->plan.suite = pv_suite_find("debian", "bookworm");
	memset(w->plan.root_fs_uuid, 0x5a, sizeof(w->plan.root_fs_uuid));
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_rmtree(w->root, &err), 0);
	free(w);
	return 0;
}

static void put_signed(const struct world *w)
{
	put(w->root, "usr/lib/shim/shimx64.efi.signed", "shim");
	put(w->root, "usr/lib/shim/mmx64.efi.signed", "mok");
	put(w->root, "usr/lib/shim/BOOTX64.CSV", "csv");
	put(w->root, "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub");
}

static const char *contents(const struct pv_bootcfg_esp *esp, const char *path)
{
	for (size_t i = 0; i < esp->n; i++) {
		if (!pv_streq(esp->files[i].path, path))
			continue;
		assert_null(esp->files[i].source);
		assert_int_equal(strlen(esp->files[i].data), esp->files[i].len);
		return esp->files[i].data;
	}
	return "(none)";
}

static void test_stub_searches_by_uuid(void **state)
{
	pv_autofree char *stub = pv_bootcfg_grub_stub(UUID), *early = pv_bootcfg_grub_early(UUID);

	(void)state;
	assert_string_equal(stub, "search.fs_uuid " UUID " root\nset prefix=($root)'/boot/grub'\n"
				  "configfile $prefix/grub.cfg\n");
	assert_true(pv_starts(stub, early));
	assert_null(strstr(early, "configfile"));
}

static void test_signed(void **state)
{
	static const char *const want[][2] = {
		{ "EFI/BOOT/BOOTX64.EFI", "shim" }, { "EFI/BOOT/grubx64.efi", "grub" },
		{ "EFI/BOOT/mmx64.efi", "mok" }, { "EFI/debian/shimx64.efi", "shim" },
		{ "EFI/debian/grubx64.efi", "grub" }, { "EFI/debian/mmx64.efi", "mok" },
		{ "EFI/debian/BOOTX64.CSV", "csv" }, { "EFI/BOOT/fbx64.efi", "(none)" },
	};
	struct world *w = *state;
	struct pv_bootcfg_esp esp;
	pv_autoerror err = PV_ERROR_INIT;

	put_signed(w);
	assert_true(pv_bootcfg_has_signed(w->root));
	assert_int_equal(pv_bootcfg_esp_files(&w->plan, w->root, "/nowhere", &esp, &err), 0);
	for (size_t i = 0; i < PV_COUNT(want); i++)
		assert_string_equal(contents(&esp, want[i][0]), want[i][1]);
	assert_non_null(strstr(contents(&esp, "EFI/debian/grub.cfg"), UUID));
	assert_string_equal(contents(&esp, "EFI/BOOT/grub.cfg"), contents(&esp, "EFI/debian/grub.cfg"));
	assert_int_equal(esp.n, 9);
	pv_bootcfg_esp_done(&esp);
	pv_bootcfg_esp_done(&esp);
}

static void test_unsigned(void **state)
{
	struct world *w = *state;
	struct pv_bootcfg_esp esp;
	pv_autoerror err = PV_ERROR_INIT, missing = PV_ERROR_INIT;
	pv_autofree char *shim = pv_path_join(w->root, "usr/lib/shim/shimx64.efi.signed");

	put_signed(w);
	assert_int_equal(unlink(shim), 0);	/* half of a pair is none */
	assert_false(pv_bootcfg_has_signed(w->root));
	assert_int_equal(pv_bootcfg_esp_files(&w->plan, w->root, w->root, &esp, &missing), -1);
	assert_non_null(strstr(missing.text, "no signed GRUB in the tree"));
	put(w->root, "out/grubx64.efi", "made");
	assert_int_equal(pv_bootcfg_esp_files(&w->plan, w->root, w->root, &esp, &err), 0);
	assert_string_equal(contents(&esp, "EFI/BOOT/BOOTX64.EFI"), "made");
	assert_string_equal(contents(&esp, "EFI/debian/grubx64.efi"), "made");
	assert_string_equal(contents(&esp, "EFI/debian/shimx64.efi"), "(none)");
	pv_bootcfg_esp_done(&esp);
	/* Target code wrote it: a link there does not bring a file of the host into the image. */
	pv_autofree char *made = pv_path_join(w->root, "out/grubx64.efi");
	assert_int_equal(unlink(made), 0);
	assert_int_equal(symlink("/etc/passwd", made), 0);
	assert_int_equal(pv_bootcfg_esp_files(&w->plan, w->root, w->root, &esp, &err), -1);
}

static void test_hostile_tree(void **state)
{
	struct world *w = *state;
	struct pv_bootcfg_esp esp;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *shim = pv_path_join(w->root, "usr/lib/shim/shimx64.efi.signed");

	put_signed(w);
	assert_int_equal(unlink(shim), 0);
	assert_int_equal(symlink("../../../../../../../../etc/passwd", shim), 0);
	assert_false(pv_bootcfg_has_signed(w->root));
	assert_int_equal(pv_bootcfg_esp_files(&w->plan, w->root, "/nowhere", &esp, &err), -1);
}

static void test_preseed(void **state)
{
	struct world *w = *state;
	pv_autofree char *answers = pv_debconf_preseed(&w->plan);

	assert_non_null(strstr(answers, "grub-pc/cloud_style_installation boolean true\n"));
	assert_non_null(strstr(answers, "grub-efi/cloud_style_installation boolean true\n"));
	assert_non_null(strstr(answers, "grub-pc/install_devices_empty boolean true\n"));
	for (const char *line = answers; *line; line = strchr(line, '\n') + 1)
		assert_non_null(strchr(line, '\n'));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stub_searches_by_uuid), TEST(test_signed), TEST(test_unsigned),
		TEST(test_hostile_tree), TEST(test_preseed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
