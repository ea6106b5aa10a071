/* SPDX-License-Identifier: Apache-2.0 */
/* The job disk: what the agent unpacks is what was in the folder, and the domain's configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "driver_job.h"
#include "fsutil.h"

struct place {
	char *dir, *job, *tar;
};

static int set_up(void **state)
{
	struct place *p = pv_xcalloc(1, sizeof(*p));

	*state = p;
	p->dir = pv_fmt("%s/pvimg-job-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(p->dir))
		return -1;
	p->job = pv_path_join(p->dir, "job");
	p->tar = pv_path_join(p->dir, "job.tar");
	return mkdir(p->job, 0755);
}

static int tear_down(void **state)
{
	struct place *p = *state;
	int rc = pv_rmtree(p->dir, NULL);

	free(p->dir);
	free(p->job);
	free(p->tar);
	free(p);
	return rc;
}

static void put(const struct place *p, const char *name, const char *text, mode_t mode)
{
	pv_autofree char *path = pv_path_join(p->job, name);

	assert_int_equal(pv_write_file(path, text, strlen(text), mode, NULL), 0);
}

static const struct pv_diskfile disk = { .fd = -1, .size = (uint64_t)1 << 30 };

static struct pv_guest guest_of(const struct place *p)
{
	return (struct pv_guest){
		.memory = (uint64_t)1 << 30, .vcpus = 1, .disk = &disk, .disk_size = disk.size, .job_dir = p->job,
	};
}

/* The member of that name, or NULL; *ret_mode its permissions. */
static char *member(const struct place *p, const char *name, mode_t *ret_mode)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	char *text = NULL;

	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_filename(a, p->tar, 65536), ARCHIVE_OK);
	while (!text && archive_read_next_header(a, &e) == ARCHIVE_OK) {
		size_t size = (size_t)archive_entry_size(e);
		if (!pv_streq(archive_entry_pathname(e), name))
			continue;
		text = pv_xcalloc(1, size + 1);
		assert_int_equal(archive_read_data(a, text, size), size);
		if (ret_mode)
			*ret_mode = archive_entry_perm(e);
	}
	archive_read_free(a);
	return text;
}

static void test_the_folder_and_the_configuration(void **state)
{
	const struct place *p = *state;
	const struct pv_guest guest = guest_of(p);
	mode_t mode = 0;
	struct stat st;

	put(p, "key", "secret\n", 0600);
	put(p, "login.sh", "true\n", 0644);
	assert_int_equal(pv_driver_job_tar(&guest, p->tar, NULL), 0);
	pv_autofree char *key = member(p, "key", &mode), *login = member(p, "login.sh", NULL);
	pv_autofree char *config = member(p, "guest.cfg", NULL);
	assert_string_equal(key, "secret\n");
	assert_int_equal(mode, 0600);
	assert_string_equal(login, "true\n");
	assert_non_null(strstr(config, "/dev/vda"));
	assert_null(strstr(config, "/dev/vdb"));
	assert_non_null(strstr(config, PV_GUEST_BRIDGE));
	assert_non_null(strstr(config, PV_GUEST_MAC));
	/* the key is for nobody else on this host */
	assert_int_equal(stat(p->tar, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	assert_int_equal(st.st_size % (1 << 20), 0);
}

static void test_more_disks(void **state)
{
	const struct place *p = *state;
	struct pv_guest guest = guest_of(p);

	guest.seed = "seed.img";
	guest.extra_disk = "extra.img";
	assert_int_equal(pv_driver_job_tar(&guest, p->tar, NULL), 0);
	pv_autofree char *config = member(p, "guest.cfg", NULL);
	assert_non_null(strstr(config, "/dev/vdb"));
	assert_non_null(strstr(config, "/dev/vdd"));
}

static void test_firmware_rides_along(void **state)
{
	const struct place *p = *state;
	pv_autofree char *firmware = pv_path_join(p->dir, "OVMF.fd");
	struct pv_guest guest = guest_of(p);

	assert_int_equal(pv_write_file(firmware, "ovmf", 4, 0644, NULL), 0);
	guest.uefi = true;
	guest.firmware = firmware;
	assert_int_equal(pv_driver_job_tar(&guest, p->tar, NULL), 0);
	pv_autofree char *config = member(p, "guest.cfg", NULL), *inside = member(p, "firmware", NULL);
	assert_string_equal(inside, "ovmf");
	assert_non_null(strstr(config, "/job/firmware"));
}

static void test_kernel_of_the_image(void **state)
{
	const struct place *p = *state;
	struct pv_guest guest = guest_of(p);

	put(p, "kernel", "k", 0644);
	put(p, "initrd", "i", 0644);
	guest.as = PV_AS_PVH;
	guest.cmdline = "root=/dev/xvda1";
	assert_int_equal(pv_driver_job_tar(&guest, p->tar, NULL), 0);
	pv_autofree char *config = member(p, "guest.cfg", NULL);
	assert_non_null(strstr(config, "/job/kernel"));
	assert_non_null(strstr(config, "/job/initrd"));
}

static void test_what_is_no_file(void **state)
{
	const struct place *p = *state;
	const struct pv_guest guest = guest_of(p);
	pv_autofree char *folder = pv_path_join(p->job, "folder");
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(mkdir(folder, 0755), 0);
	assert_int_equal(pv_driver_job_tar(&guest, p->tar, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_non_null(strstr(err.text, "no regular file"));
	pv_error_clear(&err);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(rmdir(p->job), 0);
	assert_int_equal(pv_driver_job_tar(&guest, p->tar, &err), -1);
	assert_non_null(strstr(err.text, p->job));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_folder_and_the_configuration, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_disks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_firmware_rides_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kernel_of_the_image, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
