/* SPDX-License-Identifier: Apache-2.0 */
/* License names of debian/copyright as SPDX expressions; what has no one meaning is not guessed. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "spdx.h"
#include "text.h"

static void test_names(void **state)
{
	static const struct {
		const char *name, *want;
		bool single;
	} cases[] = {
		{ "GPL-2+", "GPL-2.0-or-later", true },
		{ "GPL-2", "GPL-2.0-only", true },
		{ "GPL-2.0+", "GPL-2.0-or-later", true },
		{ "LGPL-2.1+", "LGPL-2.1-or-later", true },
		{ "GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later", true },
		{ "Expat", "MIT", true },
		{ "BSD-3-clause", "BSD-3-Clause", true },
		{ "BSD-3-Clause", "BSD-3-Clause", true },
		{ "ZLIB", "Zlib", true },
		{ "Artistic", "Artistic-1.0-Perl", true },
		{ "GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0-Perl", false },
		{ "Apache-2.0 and BSD-3-clause or ISC", "Apache-2.0 AND BSD-3-Clause OR ISC", false },
		{ "GPL-2+ or AFL-2.1, and Expat", "(GPL-2.0-or-later OR AFL-2.1) AND (MIT)", false },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		bool single;
		pv_autofree char *got = pv_spdx_expression(cases[i].name, &single);

		assert_non_null(got);
		assert_string_equal(got, cases[i].want);
		assert_int_equal(single, cases[i].single);
	}
}

static void test_not_guessed(void **state)
{
	static const char *const names[] = { "", " ", "GPL", "LGPL", "public-domain", "BSD", "Custom", "Apache-2.0+", "GPL-2++", "+",
					     "GPL-2+ with OpenSSL exception", "GPL-2+ or", "or GPL-2", "GPL-2 Expat", "GPL-2,",
					     "GPL-2, or Expat", "GPL-2, and", "Expat or Custom", "GPL-2+ AND (Expat)" };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(names); i++) {
		pv_autofree char *got = pv_spdx_expression(names[i], NULL);

		if (got)
			fail_msg("\"%s\" became \"%s\"", names[i], got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_not_guessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
