/* SPDX-License-Identifier: Apache-2.0 */
/* The tables are sound, what the checks share reads as sshd, GRUB and dpkg do, and a bare image is red, not a crash.
 * That each check goes red for its own reason is shown on a real image: tests/boot/45-lint-twins.sh. */
#include "check.h"
#include "image_help.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lint.h"

#define DISK "disk.raw"

static const struct pv_lint_check *const tables[] = {
	pv_lint_disk_checks, pv_lint_boot_checks, pv_lint_kernel_checks, pv_lint_system_checks, pv_lint_clean_checks,
	pv_lint_service_checks,
};

static void test_tables(void **state)
{
	(void)state;
	pv_autostrv names = PV_STRV_INIT;

	for (size_t t = 0; t < PV_COUNT(tables); t++) {
		for (const struct pv_lint_check *c = tables[t]; c->name; c++) {
			assert_false(pv_strv_has(&names, c->name));
			pv_strv_add(&names, c->name);
			assert_in_range(strlen(c->name), 2, 22);
			assert_in_range(strlen(c->reason), 10, 100);
			assert_non_null(c->run);
		}
	}
	assert_true(names.n > 40);
}

static void make_tree(void)
{
	image_file("tree/usr/lib/os-release", "NAME=\"x\"\nID=debian\nVERSION_CODENAME=\"bookworm\"\n");
	image_file("tree/var/lib/dpkg/status",
		   "Package: memcached\nStatus: install ok installed\nVersion: 1:1.6-1\n\n"
		   "Package: memcached-tools\nStatus: install ok installed\nVersion: 2\n\n"
		   "Package: half\nStatus: install ok half-configured\nVersion: 3\n");
	image_file("tree/boot/grub/grub.cfg",
		   "# linux /boot/vmlinuz-comment\nlinux_gfx_mode=x\n"
		   "\tlinux\t/boot/vmlinuz-6.1.0 root=UUID=" IMAGE_ROOT_UUID "  ro console=tty1 \r\n"
		   "\tlinuxefi /boot/vmlinuz-5.0 quiet\n\tlinux\n");
	image_file("tree/etc/memcached.conf", "-l 0.0.0.0\n-U 0\n-t 2\n");
	image_file("tree/etc/a.d/10.conf", "a\n");
	image_file("tree/etc/a.d/20.conf", "b\n");
	image_file("tree/etc/a.d/README", "c\n");
	image_file("tree/usr/lib/systemd/system/there.service", "[Unit]\n");
	image_file("tree/etc/systemd/system/multi-user.target.wants/none", "");
	assert_int_equal(symlink("/usr/lib/systemd/system/there.service",
				 "tree/etc/systemd/system/multi-user.target.wants/there.service"), 0);
	assert_int_equal(symlink("/usr/lib/systemd/system/gone.service",
				 "tree/etc/systemd/system/multi-user.target.wants/gone.service"), 0);
}

static struct pv_image *open_image(void)
{
	struct pv_image *image = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_image_open(DISK, &image, &err) < 0)
		fail_msg("%s", err.text);
	return image;
}

static void test_shared(void **state)
{
	(void)state;
	if (!image_tools())
		skip();
	make_tree();
	image_make(DISK, "tree");
	pv_autoimage *image = open_image();
	struct pv_lint lint = { .image = image };
	pv_autostrv words = PV_STRV_INIT, lines = PV_STRV_INIT, files = PV_STRV_INIT;

	pv_lint_words("  a \t b=c  ", &words);
	assert_int_equal(words.n, 2);
	assert_string_equal(words.v[1], "b=c");
	pv_lint_linux_lines(&lint, &lines);
	assert_int_equal(lines.n, 2);
	assert_string_equal(lines.v[0], "/boot/vmlinuz-6.1.0 root=UUID=" IMAGE_ROOT_UUID "  ro console=tty1");
	assert_string_equal(pv_lint_kernel_version("/boot/vmlinuz-6.1.0"), "6.1.0");
	assert_null(pv_lint_kernel_version("/boot/vmlinuz-"));
	assert_null(pv_lint_kernel_version("/boot/initrd"));
	pv_lint_files(&lint, "/etc/a.d", ".conf", &files);
	assert_int_equal(files.n, 2);
	assert_string_equal(files.v[1], "/etc/a.d/20.conf");
	assert_true(pv_lint_has_line(&lint, "/etc/memcached.conf", "-U 0"));
	assert_false(pv_lint_has_line(&lint, "/etc/memcached.conf", "-U"));

	pv_lint_want_enabled(&lint, "multi-user.target", "there.service");
	assert_int_equal(lint.faults.n, 0);
	pv_lint_want_enabled(&lint, "multi-user.target", "gone.service");
	assert_non_null(strstr(lint.faults.v[0], "leads nowhere"));
	pv_lint_want_enabled(&lint, "multi-user.target", "other.service");
	assert_non_null(strstr(lint.faults.v[1], "not enabled"));
	pv_lint_fault(&lint, "two\nlines \x1b[31m");
	assert_string_equal(lint.faults.v[2], "two?lines ?[31m");
	pv_strv_done(&lint.faults);
}

struct seen {
	struct pv_strv red;
	size_t n;
};

static void note(void *ctx, const struct pv_lint_check *check, const struct pv_strv *faults)
{
	struct seen *seen = ctx;

	seen->n++;
	if (!faults->n)
		return;
	pv_strv_add(&seen->red, check->name);
	for (size_t i = 0; i < faults->n; i++)
		assert_true(*faults->v[i] && !strchr(faults->v[i], '\n'));
	if (pv_streq(check->name, "memcached-listen"))
		assert_string_equal(faults->v[0], "/etc/memcached.conf: -l 0.0.0.0");
}

static void test_run(void **state)
{
	(void)state;
	if (!image_tools())
		skip();
	pv_autoimage *image = open_image();
	struct seen seen = { .red = PV_STRV_INIT };
	size_t total, red;

	pv_lint_run(image, note, &seen, &total, &red);
	assert_int_equal(total, seen.n);
	assert_int_equal(red, seen.red.n);
	/* it has a sound disk and little else */
	assert_false(pv_strv_has(&seen.red, "gpt"));
	assert_false(pv_strv_has(&seen.red, "partitions"));
	assert_false(pv_strv_has(&seen.red, "root-last"));
	assert_false(pv_strv_has(&seen.red, "filesystem"));
	assert_false(pv_strv_has(&seen.red, "suite"));
	assert_true(pv_strv_has(&seen.red, "boot-sector"));
	assert_true(pv_strv_has(&seen.red, "consoles"));
	assert_true(pv_strv_has(&seen.red, "packages"));
	assert_true(pv_strv_has(&seen.red, "suite-packages"));
	assert_true(pv_strv_has(&seen.red, "memcached-listen"));
	/* what is not installed is not asked for */
	assert_false(pv_strv_has(&seen.red, "apache-mpm"));
	assert_false(pv_strv_has(&seen.red, "apache-health"));
	pv_strv_done(&seen.red);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_run),
	};

	return cmocka_run_group_tests(tests, image_enter, image_leave);
}
