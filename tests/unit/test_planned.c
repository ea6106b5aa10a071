/* SPDX-License-Identifier: Apache-2.0 */
/* The planned archive: only planned stanzas, with the digests of the decompressed files; base and rest apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "deb822.h"
#include "fsutil.h"
#include "planned.h"
#include "proc.h"
#include "resolve.h"

static const struct pv_suite suite = { .distribution = "debian", .codename = "bookworm", .origin = "Debian" };

struct fixture {
	char *dir, *archive;
	struct pv_store *store;
	struct pv_package all[2], base[1];	/* alpha is base, beta is not */
	struct pv_plan plan;
};

static void run(const char *dir, const char *const *argv)
{
	pv_autoerror err = PV_ERROR_INIT;
	const struct pv_proc proc = { .argv = argv, .cwd = dir };

	if (pv_proc_check(&proc, PV_ERR_STAGE, &err) < 0)
		fail_msg("%s", err.text);
}

/* A package of this name in the store. */
static void add(struct fixture *f, struct pv_package *p, const char *name)
{
	pv_autofree char *tree = pv_fmt("%s/%s/DEBIAN", f->dir, name);
	pv_autofree char *control = pv_path_join(tree, "control");
	pv_autofree char *deb_name = pv_fmt("%s.deb", name);
	pv_autofree char *deb = pv_path_join(f->dir, deb_name);
	pv_autofree char *text = pv_fmt("Package: %s\nVersion: 1\nArchitecture: all\n"
					"Maintainer: t <t@example.org>\nPriority: optional\nDescription: t\n .\n t\n", name);
	const char *const argv[] = { "dpkg-deb", "--root-owner-group", "-b", name, deb_name, NULL };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_mkdirs(tree, 0755, &err), 0);
	assert_int_equal(pv_write_file(control, text, strlen(text), 0644, &err), 0);
	run(f->dir, argv);
	p->name = pv_xstrdup(name);
	p->version = pv_xstrdup("1");
	p->arch = pv_xstrdup("all");
	p->priority = pv_xstrdup("required");
	p->filename = pv_fmt("pool/%s.deb", name);
	assert_int_equal(pv_store_put_file(f->store, deb, NULL, p->sha256, &err), 0);
	assert_int_equal(pv_digest_file(deb, p->sha256, &p->size, &err), 0);
}

static int setup(void **state)
{
	struct fixture *f = pv_xcalloc(1, sizeof(*f));
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *dpkg = pv_proc_which("dpkg-deb");

	*state = f;
	if (!dpkg)
		return 0;
	f->dir = mkdtemp(pv_xstrdup("/tmp/pvimg-planned-XXXXXX"));
	f->archive = pv_path_join(f->dir, "archive");
	assert_int_equal(pv_store_open(f->dir, &f->store, &err), 0);
	add(f, &f->all[0], "alpha");
	add(f, &f->all[1], "beta");
	f->base[0].name = f->all[0].name;
	f->plan = (struct pv_plan){ .name = "t", .suite = &suite, .arch = "amd64", .packages = f->all,
				    .npackages = 2, .base = f->base, .nbase = 1, .disk_size = 1 << 30 };
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;

	pv_store_free(f->store);
	for (size_t i = 0; i < 2; i++)
		pv_package_done(&f->all[i]);
	if (f->dir && pv_rmtree(f->dir, &err) < 0)
		return -1;
	free(f->dir);
	free(f->archive);
	free(f);
	return 0;
}

static struct pv_repack *repack(struct fixture *f, bool base)
{
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_repack *r;

	if (pv_planned_repack(&f->plan, f->store, f->archive, base, &r, &err) < 0 || pv_repack_wait(r, &err) < 0)
		fail_msg("%s", err.text);
	return r;
}

struct seen {
	const char *dir;
	unsigned n, plain;
};

/* Each stanza has the digest and size of the file that lies there, and no digest of the old one. */
static int look(void *ctx, const struct pv_stanza *s)
{
	struct seen *seen = ctx;
	pv_autofree char *path = pv_path_join(seen->dir, pv_stanza_get(s, "Filename"));
	char hex[PV_SHA256_HEX];
	uint64_t size;
	pv_autoerror err = PV_ERROR_INIT;

	seen->n++;
	assert_string_equal(pv_stanza_get(s, "Priority"), "required");	/* the archive's word, not the control file's */
	assert_string_equal(pv_stanza_get(s, "Description"), "t\n.\nt");
	assert_int_equal(pv_digest_file(path, hex, &size, &err), 0);
	if (!pv_streq(pv_stanza_get(s, "SHA256"), hex))
		return 0;	/* installed by then: as it was archived */
	seen->plain++;
	assert_int_equal(strtoull(pv_stanza_get(s, "Size"), NULL, 10), size);
	assert_null(pv_stanza_get(s, "MD5sum"));
	return 0;
}

static struct seen read_index(const struct fixture *f, const char *name)
{
	pv_autofree char *path = pv_path_join(f->archive, name);
	struct seen seen = { f->archive, 0, 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_deb822_each_file(path, look, &seen, &err) < 0)
		fail_msg("%s", err.text);
	return seen;
}

static void test_base(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *release = NULL, *path = NULL;

	if (!f->dir)
		skip();
	struct pv_repack *base = repack(f, true);
	assert_int_equal(pv_planned_base(&f->plan, base, f->archive, &err), 0);
	struct seen seen = read_index(f, "dists/bookworm/main/binary-amd64/Packages");
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.plain, 1);
	path = pv_path_join(f->archive, "dists/bookworm/Release");
	assert_int_equal(pv_read_file(path, 65536, &release, NULL, &err), 0);
	assert_non_null(strstr(release, "Date: Thu, 01 Jan 1970 00:00:00 UTC\n"));
	/* debootstrap loses an InRelease's last line: the digest is not it. */
	assert_true(pv_ends(release, "\nComponents: main\n"));
	pv_repack_free(base);
}

static void test_rest(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;

	if (!f->dir)
		skip();
	struct pv_repack *base = repack(f, true), *rest = repack(f, false);
	assert_int_equal(pv_planned_rest(&f->plan, rest, f->archive, &err), 0);
	struct seen seen = read_index(f, "Packages");
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.plain, 1);
	pv_repack_free(rest);
	pv_repack_free(base);
}

/* Whatever says so: a .deb that is of another package is not passed off as this one. */
static void test_other_package(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;

	if (!f->dir)
		skip();
	struct pv_repack *base = repack(f, true), *rest = repack(f, false);
	f->all[1].version[0] = '2';
	assert_int_equal(pv_planned_rest(&f->plan, rest, f->archive, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_non_null(strstr(err.text, "pool/beta.deb: its control file is not that of beta 2, all"));
	pv_repack_free(rest);
	pv_repack_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_base, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_package, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
