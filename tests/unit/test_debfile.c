/* SPDX-License-Identifier: Apache-2.0 */
/* One regular file comes out of a .deb, and a .deb made to hurt is refused. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "archive_help.h"
#include "check.h"
#include "debfile.h"

#define MEMBER "./usr/share/keyrings/k.gpg"

static int setup(void **state)
{
	struct fx *fx = fx_new();

	*state = fx;
	if (fx)
		fx_sh(fx, "mkdir -p t/DEBIAN t/usr/share/keyrings; printf 'the keys' >t/usr/share/keyrings/k.gpg; "
		      "ln -s k.gpg t/usr/share/keyrings/link.gpg; "
		      "printf 'Package: k\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@y>\\n"
		      "Description: k\\n' >t/DEBIAN/control; "
		      "for z in xz zstd gzip none; do mkdeb $z.deb t $z; done; "
		      "mkdir parts; cd parts; ar x ../none.deb");
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

/* words NULL: must be read. */
static void read_it(const struct fx *fx, const char *name, const char *member, size_t max, const char *words)
{
	pv_autofree char *path = fx_path(fx, name);
	pv_autostr got = PV_STR_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	int rc = pv_deb_read_member(path, member, max, &got, &err);

	if (!words) {
		if (rc < 0)
			fail_msg("%s: %s", name, err.text);
		assert_int_equal(got.len, 8);
		assert_memory_equal(got.data, "the keys", 8);
		return;
	}
	if (rc == 0)
		fail_msg("%s: accepted", name);
	assert_null(got.data);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" lacks \"%s\"", err.text, words);
}

static void test_reads(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	read_it(fx, "xz.deb", MEMBER, 100, NULL);
	read_it(fx, "zstd.deb", "usr/share/keyrings/k.gpg", 8, NULL);
	read_it(fx, "gzip.deb", "/usr/share/keyrings/k.gpg", 100, NULL);
	read_it(fx, "none.deb", MEMBER, 100, NULL);
}

static void test_refuses_members(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	read_it(fx, "xz.deb", MEMBER, 7, "too large");
	read_it(fx, "xz.deb", "usr/share/keyrings/link.gpg", 100, "no regular file");
	read_it(fx, "xz.deb", "usr/share/keyrings", 100, "has no");
	read_it(fx, "xz.deb", "usr/share/keyrings/", 100, "no regular file");
	read_it(fx, "xz.deb", "usr/share/keyrings/none.gpg", 100, "has no usr");
	read_it(fx, "xz.deb", "DEBIAN/control", 100, "has no");
}

/* parts/: debian-binary and control.tar of a good package; `line` makes parts/data.tar. */
static void remade(const struct fx *fx, const char *line, const char *words)
{
	fx_sh(fx, "cd parts; rm -f data.tar*; %s; rm -f ../x.deb; ar qc ../x.deb debian-binary control.tar* data.tar*",
	      line);
	read_it(fx, "x.deb", MEMBER, 100, words);
}

static void test_refuses_trees(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	remade(fx, "tar -C ../t -cf data.tar ./usr", NULL);
	remade(fx, "tar -C ../t -cf data.tar ./usr; tar -C ../t -rf data.tar usr/share/keyrings/k.gpg", "twice");
	remade(fx, "cp -r ../t ../h; ln ../h/usr/share/keyrings/k.gpg ../h/usr/share/keyrings/a.gpg; "
	       "tar -C ../h -cf data.tar ./usr/share/keyrings/a.gpg ./usr/share/keyrings/k.gpg", "no regular file");
	remade(fx, "mkdir -p ../b/usr; truncate -s 80M ../b/usr/big; tar -C ../b -cf - ./usr | xz -0 >data.tar.xz",
	       "larger than");
	remade(fx, "tar -C ../t -cf - ./usr | head -c 1200 >data.tar", "not a readable");
	remade(fx, "tar -C ../t -cf - ./usr | bzip2 >data.tar.bz2 || cp /bin/sh data.tar.bz2", "not a readable");
	remade(fx, "tar -C ../t -cf data.tar ./usr; cp data.tar data.tar.none", "two data.tar");
	remade(fx, ": >data.tar", "package");
	fx_sh(fx, "cd parts; rm -f data.tar ../x.deb; ar qc ../x.deb debian-binary control.tar*");
	read_it(fx, "x.deb", MEMBER, 100, "has no data.tar");
}

static void test_refuses_files(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	fx_sh(fx, "head -c 200 none.deb >cut.deb; cut=$(stat -c %%s xz.deb); head -c $((cut - 90)) xz.deb >short.deb; "
	      ": >empty.deb; tar -C t -cf tar.deb ./usr; printf x >s; ar qc strange.ar s");
	read_it(fx, "cut.deb", MEMBER, 100, "cut.deb");
	read_it(fx, "short.deb", MEMBER, 100, "not a readable");
	read_it(fx, "empty.deb", MEMBER, 100, "empty.deb");
	read_it(fx, "tar.deb", MEMBER, 100, "not a readable");
	read_it(fx, "strange.ar", MEMBER, 100, "not a Debian package");
	read_it(fx, "nothing.deb", MEMBER, 100, "nothing.deb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_refuses_members),
		cmocka_unit_test(test_refuses_trees),
		cmocka_unit_test(test_refuses_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
