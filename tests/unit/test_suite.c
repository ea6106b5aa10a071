/* SPDX-License-Identifier: Apache-2.0 */
/* The table of suites is whole and consistent, and finds what it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "suite.h"
#include "text.h"

static bool has(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

static void test_find(void **state)
{
	(void)state;
	assert_string_equal(pv_suite_find("ubuntu", "noble")->version, "24.04");
	assert_string_equal(pv_suite_find("debian", "bookworm")->version, "12");
	assert_null(pv_suite_find("debian", "noble"));
	assert_null(pv_suite_find("ubuntu", "nobl"));
	assert_null(pv_suite_find(NULL, NULL));
	assert_null(pv_suite_names("fedora"));
	assert_null(pv_suite_names(NULL));
}

static void test_names_match_table(void **state)
{
	size_t n = 0, named = 0;

	(void)state;
	for (const struct pv_suite *s = pv_suite_table(); s->distribution; s++, n++) {
		assert_true(has(pv_suite_distributions(), s->distribution));
		assert_true(has(pv_suite_names(s->distribution), s->codename));
		assert_ptr_equal(pv_suite_find(s->distribution, s->codename), s);
	}
	for (const char *const *d = pv_suite_distributions(); *d; d++)
		for (const char *const *name = pv_suite_names(*d); *name; name++, named++)
			assert_non_null(pv_suite_find(*d, *name));
	assert_int_equal(n, 5);
	assert_int_equal(named, n);
}

static void test_rows_whole(void **state)
{
	(void)state;
	for (const struct pv_suite *s = pv_suite_table(); s->distribution; s++) {
		pv_autofree char *updates = pv_fmt("%s-updates", s->codename);
		pv_autofree char *security = pv_fmt("%s-security", s->codename);

		assert_string_equal(s->updates, updates);
		assert_string_equal(s->security, security);
		assert_non_null(s->version);
		assert_non_null(s->origin);
		assert_true(has(s->components, "main"));
		assert_non_null(s->kernel_package);
		assert_string_equal(s->grub_efi_id, s->distribution);
		assert_non_null(s->debootstrap_script);
		assert_true(s->keyring_host_path[0] == '/');
		/* The member is the host's file, as a .deb names it. */
		assert_true(s->keyring_member[0] == '.');
		assert_string_equal(s->keyring_member + 1, s->keyring_host_path);
		assert_non_null(strstr(s->keyring_package, "keyring"));
		assert_int_equal(s->kernel_fronts_builtin, strcmp(s->distribution, "ubuntu") == 0);
		/* Security is a sibling on Debian only. */
		assert_true((s->security_sibling != NULL) ==
			    (strcmp(s->distribution, "debian") == 0));
	}
}

static void test_boots_both_ways(void **state)
{
	(void)state;
	for (const struct pv_suite *s = pv_suite_table(); s->distribution; s++) {
		bool dracut = s->initramfs == PV_INITRAMFS_DRACUT;

		assert_true(has(s->boot_packages, "grub-pc-bin"));
		assert_true(has(s->boot_packages, "grub-efi-amd64-bin"));
		assert_true(has(s->boot_packages, "grub-efi-amd64-signed"));
		assert_true(has(s->boot_packages, "shim-signed"));
		/* grub-pc and grub-cloud-amd64 both re-install; grub-efi-amd64 would push grub-pc
		 * out. */
		assert_true(has(s->boot_packages, "grub-pc") !=
			    has(s->boot_packages, "grub-cloud-amd64"));
		assert_false(has(s->boot_packages, "grub-efi-amd64"));
		assert_int_equal(has(s->boot_packages, "dracut"), dracut);
		assert_int_equal(has(s->boot_packages, "initramfs-tools"), !dracut);
		assert_true(has(s->initramfs_modules, "xen_blkfront"));
		assert_true(has(s->initramfs_modules, "xen_netfront"));
		assert_true(has(s->initramfs_modules, "ata_piix"));
		assert_true(has(s->initramfs_modules, "virtio_blk"));
	}
	assert_int_equal(pv_suite_find("ubuntu", "resolute")->initramfs, PV_INITRAMFS_DRACUT);
	assert_int_equal(pv_suite_find("ubuntu", "noble")->initramfs, PV_INITRAMFS_TOOLS);
}

/* No package twice, so that none is listed by habit. */
static void test_lists_disjoint(void **state)
{
	(void)state;
	for (const struct pv_suite *s = pv_suite_table(); s->distribution; s++) {
		pv_autostrv all = PV_STRV_INIT;
		size_t n;

		pv_strv_add(&all, s->kernel_package);
		pv_strv_add_all(&all, s->boot_packages);
		pv_strv_add_all(&all, s->system_packages);
		if (s->guest_agent)
			pv_strv_add(&all, s->guest_agent);
		n = all.n;
		pv_strv_sort(&all);
		pv_strv_uniq(&all);
		assert_int_equal(all.n, n);
		assert_true(has(s->system_packages, "cloud-init"));
		assert_true(has(s->system_packages, "openssh-server"));
		assert_true(has(s->system_packages, "chrony"));
		/* cloud-init's way to the codename in apt's sources */
		assert_true(has(s->system_packages, "lsb-release"));
		assert_int_equal(has(s->system_packages, "netplan.io"),
				 s->network == PV_NETWORK_NETPLAN);
		assert_int_equal(has(s->system_packages, "systemd-resolved"),
				 strcmp(s->codename, "jammy") != 0);
	}
}

static void test_ext4_features(void **state)
{
	(void)state;
	for (const struct pv_suite *s = pv_suite_table(); s->distribution; s++) {
		assert_non_null(strstr(s->ext4_features, "extent"));
		assert_non_null(strstr(s->ext4_features, "has_journal"));
		assert_non_null(strstr(s->ext4_features, "resize_inode"));
		assert_null(strstr(s->ext4_features, "orphan_file"));
		assert_null(strstr(s->ext4_features, "metadata_csum_seed"));
		assert_null(strchr(s->ext4_features, '^'));
		assert_null(strchr(s->ext4_features, ' '));
	}
}

/* mke2fs knows every word of the list. */
static void test_mke2fs_takes_features(void **state)
{
	(void)state;
	if (access("/sbin/mke2fs", X_OK) < 0)
		skip();
	for (const struct pv_suite *s = pv_suite_table(); s->distribution; s++) {
		char path[] = "/tmp/pvimg-suite-XXXXXX";
		int fd = mkstemp(path);

		assert_true(fd >= 0);
		pv_autofree char *command =
			pv_fmt("/sbin/mke2fs -q -F -t ext4 -O none,%s %s 16M >/dev/null 2>&1 && "
			       "/sbin/e2fsck -fn %s >/dev/null 2>&1",
			       s->ext4_features, path, path);

		assert_int_equal(system(command), 0);
		close(fd);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_names_match_table),
		cmocka_unit_test(test_rows_whole),
		cmocka_unit_test(test_boots_both_ways),
		cmocka_unit_test(test_lists_disjoint),
		cmocka_unit_test(test_ext4_features),
		cmocka_unit_test(test_mke2fs_takes_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
