/* SPDX-License-Identifier: Apache-2.0 */
/* report.html: nothing that records say becomes markup, and what they say is there. With PV_TEST_PAGE=DIR in the environment pages
 * stay there for the check of their form. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "html.h"
#include "page.h"
#include "scratch.h"
#include "text.h"

#define EVIL "</td><script>alert(1)</script><img src=x onerror='y'>\\\" onload=\\\"z\\u202e\\u001b[31m&amp;"
#define MANIFEST_HEAD "{\"schema\":\"pvimg.manifest/1\",\"name\":\"n\",\"distribution\":\"debian\",\"suite\":\"bookworm\"," \
	"\"architecture\":\"amd64\",\"disk_size\":4294967296,\"packages\":["

static void put(const char *path, const char *text)
{
	assert_int_equal(pv_write_file(path, text, strlen(text), 0644, NULL), 0);
}

/* The page of the records in ".", whose text the caller frees; kept as NAME.html where the environment says so. */
static char *page(const char *name)
{
	pv_autoerror err = PV_ERROR_INIT;
	const char *keep = getenv("PV_TEST_PAGE");
	char *text = NULL;

	assert_int_equal(pv_page_write(".", &err), 0);
	assert_int_equal(pv_read_file("report.html", 1 << 20, &text, NULL, NULL), 0);
	if (keep) {
		pv_autofree char *path = pv_fmt("%s/%s.html", keep, name);
		put(path, text);
	}
	return text;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("%s is not there", part);
}

static void has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("%s is there", part);
}

static void test_escape(void **state)
{
	pv_autostr s = PV_STR_INIT;

	(void)state;
	pv_html_addf(&s, "<b title=\"%s\">%s</b>", "\"'", "a<b>&c\x1b");
	pv_html_text(&s, NULL);
	assert_string_equal(s.data, "<b title=\"&quot;&#39;\">a&lt;b&gt;&amp;c?</b>");
}

static void bar_is(uint64_t start, uint64_t part, uint64_t whole, const char *style)
{
	pv_autostr s = PV_STR_INIT;

	pv_html_bar(&s, "x", start, part, whole);
	if (style)
		has(pv_str_text(&s), style);
	else
		assert_int_equal(s.len, 0);
}

static void test_bar(void **state)
{
	(void)state;
	bar_is(1, 1, 4, "margin-left:25.00%;width:25.00%");
	bar_is(0, 1, 3, "margin-left:0.00%;width:33.33%");
	bar_is(3, 9, 4, "margin-left:75.00%;width:25.00%");	/* never beyond the end */
	bar_is(UINT64_MAX, UINT64_MAX, 4, "margin-left:100.00%;width:0.00%");
	bar_is(0, UINT64_MAX, UINT64_MAX, "width:100.00%");
	bar_is(0, 0, 4, NULL);
	bar_is(0, 1, 0, NULL);
}

static void test_least(void **state)
{
	(void)state;
	put("report.json", "{\"schema\":\"pvimg.report/1\"}");
	pv_autofree char *text = page("least");
	has(text, "There was no earlier result");
	has_not(text, "Where the bytes go");
	has_not(text, "Verification");
	put("report.json", "{\"schema\":\"pvimg.report/1\",\"error\":{\"exit\":1,\"text\":\"no <space>\"}}");
	pv_autofree char *failed = page("failed");
	has(failed, "The build failed: no &lt;space&gt;");
	has_not(failed, "earlier result");
}

static void test_no_report(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	(void)remove("report.json");
	assert_int_equal(pv_page_write(".", &err), -1);
	put("report.json", "{\"schema\":\"pvimg.report/2\"}");
	assert_int_equal(pv_page_write(".", &err), -1);
	assert_true(pv_starts(err.text, "./report.html: "));
}

/* Each text of each record is hostile, each number wrong or huge. */
static void put_hostile(void)
{
	put("report.json", "{\"schema\":\"pvimg.report/1\",\"name\":\"" EVIL "\",\"pvimg\":\"" EVIL "\",\"verified\":\"" EVIL "\","
	    "\"archive\":\"stand-in\",\"epoch\":9223372036854775807,\"wall_ms\":-1,\"self_max_rss_kib\":9223372036854775807,"
	    "\"error\":{\"exit\":1,\"text\":\"" EVIL "\"},\"findings\":[\"" EVIL "\",5],"
	    "\"stages\":[{\"name\":\"" EVIL "\",\"state\":\"" EVIL "\",\"wall_ms\":9223372036854775807},7],"
	    "\"children\":[{\"argv0\":\"" EVIL "\",\"stage\":\"" EVIL "\",\"exit\":null,\"signal\":9,\"timed_out\":true}],"
	    "\"artifacts\":[{\"file\":\"" EVIL "\",\"sha256\":\"" EVIL "\",\"size\":\"x\"}],"
	    "\"folders\":[{\"path\":\"/\",\"bytes\":10},{\"path\":\"" EVIL "\",\"bytes\":9223372036854775807}],"
	    "\"since\":[{\"name\":\"" EVIL "\",\"state\":\"different\",\"changes\":[{\"what\":\"" EVIL "\",\"first\":\"" EVIL
	    "\",\"second\":\"" EVIL "\",\"how\":\"" EVIL "\"},null]},{\"name\":\"" EVIL "\",\"state\":\"equal\"}]}");
	put("manifest.json", MANIFEST_HEAD "{\"name\":\"" EVIL "\",\"version\":\"" EVIL "\",\"installed_size\":-5},"
	    "[]]}");
	put("verdict.json", "{\"schema\":\"pvimg.verdict/1\",\"class\":\"" EVIL "\",\"cause\":\"" EVIL "\",\"driver\":\"" EVIL "\","
	    "\"driver_why\":\"" EVIL "\",\"proves\":\"" EVIL "\",\"driver_facts\":{\"" EVIL "\":\"" EVIL "\"},"
	    "\"checks\":[{\"name\":\"" EVIL "\",\"state\":\"green\",\"seen\":\"" EVIL "\"},"
	    "{\"name\":\"" EVIL "\",\"state\":\"" EVIL "\",\"expected\":\"" EVIL "\"}],\"evidence\":[\"" EVIL "\","
	    "null],"
	    "\"timeline\":{\"kernel\":9223372036854775807,\"userspace\":9223372036854775807,\"service " EVIL "\":3,\"total\":1}}");
}

static void test_hostile(void **state)
{
	(void)state;
	put_hostile();
	pv_autofree char *text = page("hostile");
	has_not(text, "<script");
	has_not(text, "<img");
	has_not(text, "\" onload");
	has_not(text, "\xe2\x80\xae");
	has_not(text, "\x1b");
	has(text, "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&#39;y&#39;&gt;&quot; onload=&quot;"
	    "z?" "?[31m&amp;amp;");
	/* where each record's texts are */
	has(text, "The build failed: &lt;/td&gt;");
	has(text, "<summary>Evidence for the class</summary>");
}

static void put_good(void)
{
	put("report.json", "{\"schema\":\"pvimg.report/1\",\"name\":\"debian-2g\",\"pvimg\":\"1.0.0\","
	    "\"verified\":\"PVHVM\",\"wall_ms\":4000,"
	    "\"stages\":[{\"name\":\"plan\",\"state\":\"done\",\"wall_ms\":1000},"
	    "{\"name\":\"fetch\",\"state\":\"skipped\",\"wall_ms\":0},"
	    "{\"name\":\"image\",\"state\":\"done\",\"wall_ms\":3000}"
	    "],\"children\":[{\"argv0\":\"grub\",\"stage\":\"configure\",\"exit\":0,"
	    "\"signal\":null,\"timed_out\":false,\"wall_ms\":740,\"max_rss_kib\":31144}],"
	    "\"artifacts\":[{\"file\":\"debian-2g.raw\",\"chunks_sha256\":\"abc\",\"size\":1048576}],"
	    "\"folders\":[{\"path\":\"/\",\"bytes\":400000000},{\"path\":\"/usr\",\"bytes\":300000000},"
	    "{\"path\":\"/usr/lib\",\"bytes\":200000000},"
	    "{\"path\":\"/usr/lib/tiny\",\"bytes\":2000000}],"
	    "\"since\":[{\"name\":\"packages\",\"state\":\"different\",\"why\":null,\"changes\":["
	    "{\"what\":\"bash\",\"first\":\"1\",\"second\":\"2\",\"how\":\"up\"},"
	    "{\"what\":\"zsh\",\"first\":null,\"second\":\"5\",\"how\":\"added\"}]},"
	    "{\"name\":\"sizes\",\"state\":\"different\",\"why\":null,\"changes\":["
	    "{\"what\":\"disk\",\"first\":\"4294967296\",\"second\":\"3221225472\",\"how\":\"changed\"}]},"
	    "{\"name\":\"build stages\",\"state\":\"different\",\"changes\":["
	    "{\"what\":\"image\",\"first\":\"65000\",\"second\":\"3000\",\"how\":\"changed\"}]},"
	    "{\"name\":\"sysctl\",\"state\":\"equal\",\"why\":null,\"changes\":[]},"
	    "{\"name\":\"kernel command line\",\"state\":\"not compared\",\"why\":\"w\",\"changes\":[]}]}");
	put("manifest.json", MANIFEST_HEAD "{\"name\":\"small\",\"version\":\"1\",\"installed_size\":1048576},"
	    "{\"name\":\"large\",\"version\":\"2\",\"installed_size\":3145728}]}");
	put("verdict.json", "{\"schema\":\"pvimg.verdict/1\",\"class\":\"PVHVM\",\"green\":true,\"cause\":null,"
	    "\"driver\":\"xl\",\"driver_why\":\"w\","
	    "\"proves\":\"p\",\"driver_facts\":{\"accelerator\":\"tcg\"}"
	    ",\"checks\":[{\"name\":\"swap\",\"state\":\"green\",\"expected\":\"none\","
	    "\"seen\":\"0\"},{\"name\":\"load\",\"state\":\"unchecked\",\"expected\":\"e\",\"seen\":\"s\"}"
	    "],\"evidence\":[],"
	    "\"timeline\":{\"firmware\":1000,\"kernel\":2000,\"userspace\":5000,\"total\":8000,\"service "
	    "b.service\":100,\"service a.service\":900}}");
}

static void test_good(void **state)
{
	(void)state;
	put_good();
	pv_autofree char *text = page("good");
	has(text, "<p class=\"verdict good\">PVHVM, green</p>");
	/* a hit takes no time; the bars follow one another */
	has(text, "fetch</th><td class=\"w good\">hit</td><td class=\"n dim\">");
	has(text, "image</th><td class=\"w dim\">miss</td><td class=\"n\">3.0 s</td><td class=\"n dim\">1 min 05 "
	    "s</td><td class=\"chart\"><span class=\"bar miss\" "
	    "aria-hidden=\"true\" style=\"margin-left:25.00%;width:75.00%\">");
	has(text, "packages: 1 added, 1 up");
	has(text, "disk</th><td class=\"n\">4 GiB</td><td class=\"n\">3 GiB</td><td class=\"w n\">\xe2\x88\x92" "1 "
	    "GiB");
	has(text, "The same as before: sysctl.");
	has(text, "Not compared, for want of records: kernel command line.");
	has(text, "/usr/lib</th>");
	has_not(text, "/usr/lib/tiny");
	assert_true(strstr(text, ">large<") < strstr(text, ">small<"));
	assert_true(strstr(text, ">a.service<") < strstr(text, ">b.service<"));
	has(text, "kernel</th><td class=\"n\">2.0 s</td><td class=\"chart\"><span class=\"bar all\" "
	    "aria-hidden=\"true\" "
	    "style=\"margin-left:12.50%;width:25.00%\">");
	has(text, "Processors were emulated");
	has(text, "unchecked");
	has(text, "Green: 1 of 2");
	has(text, "abc (of chunks)");
	pv_autofree char *again = page("good");
	assert_string_equal(text, again);
}

/* Nothing of a link's target is touched, and an old page goes. */
static void test_replaces(void **state)
{
	(void)state;
	put_good();
	put("other", "mine");
	(void)remove("report.html");
	assert_int_equal(symlink("other", "report.html"), 0);
	pv_autofree char *text = page("good"), *other = NULL;
	assert_int_equal(pv_read_file("other", 100, &other, NULL, NULL), 0);
	assert_string_equal(other, "mine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape), cmocka_unit_test(test_bar), cmocka_unit_test(test_least),
		cmocka_unit_test(test_no_report), cmocka_unit_test(test_hostile), cmocka_unit_test(test_good),
		cmocka_unit_test(test_replaces),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
