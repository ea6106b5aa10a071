/* SPDX-License-Identifier: Apache-2.0 */
/* What target code may change of pvimg's own folders while a stage runs it: nothing that pvimg writes to later. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "as_user.h"
#include "fsutil.h"
#include "ns.h"
#include "sandbox.h"
#include "stage.h"

/* Words for sh, each of which must fail inside; and what must work there. */
static const char hostile[] =
	"cd /run/pvimg || exit 1\n"
	"mv out away && exit 2\n"
	"mv bin away && exit 3\n"
	"ln -s / target && exit 4\n"
	"echo x > bin/held && exit 5\n"
	"rm -f apt.conf bin/held && exit 6\n"
	"echo x > archive/x && exit 7\n"
	"chmod 0777 . && exit 8\n"
	"echo note >> held/note && ln -s /etc/passwd out/boot.img && exit 0\n"
	"exit 9\n";

static void make(const char *dir, const char *name, mode_t mode)
{
	pv_autofree char *path = pv_path_join(dir, name);

	CHECK(pv_mkdirs(path, 0755, NULL) == 0 && chmod(path, mode) == 0);
}

static void try_run_folder(void *ctx)
{
	const struct person *who = ctx;
	static const char *const links[] = { "bin", "sbin", "lib", "lib64" };
	static const char *const argv[] = { "/bin/sh", "-c", hostile, NULL };
	pv_autofree char *root = pv_path_join(who->dir, "root"), *run_dir = pv_path_join(who->dir, "run");
	pv_autofree char *archive = pv_path_join(who->dir, "archive"), *stub = pv_path_join(run_dir, "bin/held");
	const struct pv_sandbox_bind usr = { .source = "/usr", .target = "/usr" };
	const struct pv_target_call call = { .argv = argv, .binds = &usr, .nbinds = 1 };
	const struct pv_plan plan = { .epoch = 1 };
	struct pv_run run = { .plan = &plan, .root = root, .run_dir = run_dir, .archive_dir = archive };
	pv_autoerror err = PV_ERROR_INIT;

	CHECK(pv_ns_enter(&err) == 0);
	make(root, "", 0755);
	make(root, "usr", 0755);
	CHECK(chown(root, 0, 0) == 0);
	for (size_t i = 0; i < PV_COUNT(links); i++) {
		pv_autofree char *path = pv_path_join(root, links[i]), *to = pv_fmt("usr/%s", links[i]);
		CHECK(symlink(to, path) == 0);
	}
	for (size_t i = 0; i < 5; i++) {
		static const char *const folders[] = { "dev", "proc", "sys", "run", "tmp" };
		make(root, folders[i], 0755);
	}
	make(archive, "", 0755);
	make(run_dir, "bin", 0755);
	make(run_dir, "archive", 0755);
	make(run_dir, "held", 01777);
	make(run_dir, "out", 01777);
	CHECK(pv_write_file(stub, "x", 1, 0755, &err) == 0);
	/* Its owner would be free to write there: the mount is what counts. */
	CHECK(chown(run_dir, 0, 0) == 0 && chown(stub, 0, 0) == 0);
	run.log = pv_log_new(PV_LOG_AUTO, false);
	run.report = pv_report_new("t");
	if (pv_run_call(&run, &call, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	pv_report_free(run.report);
	pv_log_free(run.log);
	CHECK(pv_rmtree(root, NULL) == 0 && pv_rmtree(run_dir, NULL) == 0 && pv_rmtree(archive, NULL) == 0);
}

static void test_target_code_writes_only_notes_and_results(void **state)
{
	struct people people;

	(void)state;
	people_set_up(&people);
	for (size_t i = 0; i < people.n; i++)
		if (run_as(&people.who[i], try_run_folder, &people.who[i]) != 0)
			fail_msg("as %s", people.who[i].name);
	people_tear_down(&people);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_target_code_writes_only_notes_and_results) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
