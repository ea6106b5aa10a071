/* SPDX-License-Identifier: Apache-2.0 */
/* The seed disk: sound vfat, the same bytes each time, user and probe in it; and the probe's report comes through. */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "frames.h"
#include "fsutil.h"
#include "proc.h"
#include "seed.h"
#include "text.h"

#define NONCE "00112233445566778899aabbccddeeff"
#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK/pz8Yo6A977Hloc5skN+gDlVoN3reKGOWZtESrXQ3j pvimg"

static char *root;			/* the project's; tests run in its folder */

static int enter(void **state)
{
	char *dir = pv_xstrdup("/tmp/pvimg-test-seed.XXXXXX");
	pv_autofree char *mkfs = pv_proc_which("mkfs.vfat");
	pv_autofree char *mcopy = pv_proc_which("mcopy");

	root = getcwd(NULL, 0);
	if (!root || !mkdtemp(dir) || chdir(dir) < 0)
		return -1;
	if (!mkfs || !mcopy) {
		print_message("skipped: mkfs.vfat and mcopy are needed\n");
		exit(77);
	}
	*state = dir;
	return 0;
}

static int leave(void **state)
{
	int rc = chdir("/");

	rc |= pv_rmtree(*state, NULL);
	free(*state);
	free(root);
	return rc;
}

static void add_line(void *ctx, const char *line, size_t len)
{
	pv_str_addn(ctx, line, len);
	pv_str_addc(ctx, '\n');
}

/* What a program that must end well prints; the caller frees. */
static char *output(const char *const *argv)
{
	struct pv_str text = PV_STR_INIT;
	const struct pv_proc proc = { .argv = argv, .on_stdout = add_line, .ctx = &text, .deadline_s = 60 };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_proc_check(&proc, PV_ERR_STAGE, &err) < 0)
		fail_msg("%s", err.text);
	return pv_str_steal(&text);
}

static char *member(const char *disk, const char *name)
{
	const char *const argv[] = { "mtype", "-i", disk, name, NULL };

	return output(argv);
}

static struct pv_seed_request request(void)
{
	static char scripts[4096];

	snprintf(scripts, sizeof(scripts), "%s/scripts", root);
	return (struct pv_seed_request){ .nonce = NONCE, .public_key = KEY, .scripts_dir = scripts, .ntp = "10.77.0.1" };
}

static void digest(const char *path, char ret[PV_SHA256_HEX])
{
	assert_int_equal(pv_digest_file(path, ret, NULL, NULL), 0);
}

static void test_disk(void **state)
{
	const char *const fsck[] = { "fsck.vfat", "-n", "seed", NULL };
	const char *const list[] = { "mdir", "-b", "-a", "-i", "seed", "::", NULL };
	struct pv_seed_request req = request();
	pv_autoerror err = PV_ERROR_INIT;
	char first[PV_SHA256_HEX], again[PV_SHA256_HEX];
	struct stat st;

	(void)state;
	if (pv_seed_write(&req, "seed", &err) < 0)
		fail_msg("%s", err.text);
	digest("seed", first);
	assert_int_equal(stat("seed", &st), 0);
	assert_int_equal(st.st_size, PV_SEED_SIZE);
	free(output(fsck));
	pv_autofree char *names = output(list);
	assert_string_equal(names, "::/meta-data\n::/user-data\n");
	pv_autofree char *meta = member("seed", "::meta-data");
	assert_string_equal(meta, "instance-id: pvimg-" NONCE "\nlocal-hostname: pvimg\n");

	/* over an older, larger file, a second later: FAT counts in twos, so this is no proof alone; the times are seen too */
	sleep(2);
	assert_int_equal(pv_write_file("seed", meta, strlen(meta), 0600, NULL), 0);
	assert_int_equal(truncate("seed", 9 << 20), 0);
	assert_int_equal(pv_seed_write(&req, "seed", &err), 0);
	digest("seed", again);
	assert_string_equal(first, again);
	req.nonce = "ffeeddccbbaa99887766554433221100";
	assert_int_equal(pv_seed_write(&req, "seed", &err), 0);
	digest("seed", again);
	assert_string_not_equal(first, again);
}

static void test_user_data(void **state)
{
	struct pv_seed_request req = request();
	struct pv_settings settings = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	pv_vars_set(&settings.sysctl, "net.core.somaxconn", "4096");
	pv_vars_set(&settings.memcached, "maxbytes", "1");
	pv_vars_set(&settings.apache, "MaxRequestWorkers", "800");
	req.settings = &settings;
	req.measure = true;
	assert_int_equal(pv_seed_write(&req, "seed", &err), 0);
	pv_autofree char *data = member("seed", "::user-data");
	assert_true(pv_starts(data, "Content-Type: multipart/mixed;"));
	assert_non_null(strstr(data, "\n    ssh_authorized_keys: [\"" KEY "\"]\n"));
	assert_non_null(strstr(data, "\n    lock_passwd: true\n"));
	assert_non_null(strstr(data, "\nContent-Type: text/cloud-boothook\n\n#!/bin/sh\nexec systemd-run "));
	assert_non_null(strstr(data, "\n__DATA__\nnonce " NONCE "\nntp 10.77.0.1\nmeasure yes\nsysctl net.core.somaxconn\n"
				     "memcached maxbytes\napache MaxRequestWorkers\n\n--pvimg--\n"));
	/* a mail in 7 bits, whose parts hold no line that ends them */
	for (const char *p = data; *p; p++)
		assert_true((unsigned char)*p < 0x7f && (*p >= ' ' || *p == '\n' || *p == '\t'));
	size_t marks = 0;
	for (const char *p = data; (p = strstr(p, "\n--pvimg")); p++)
		marks++;
	assert_int_equal(marks, 3);
	pv_vars_done(&settings.sysctl);
	pv_vars_done(&settings.memcached);
	pv_vars_done(&settings.apache);
}

static void refused(const struct pv_seed_request *req, const char *words)
{
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_seed_write(req, "refused", &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	if (!strstr(err.text, words))
		fail_msg("'%s' does not say '%s'", err.text, words);
	assert_false(pv_exists("refused"));
}

static void test_refused(void **state)
{
	struct pv_seed_request req = request();
	struct pv_settings settings = { 0 };

	(void)state;
	req.nonce = "0";
	refused(&req, "nonce");
	req = request();
	req.public_key = KEY "\nruncmd: [reboot]";
	refused(&req, "public key");
	req.public_key = KEY "\"]";
	refused(&req, "public key");
	req = request();
	req.ntp = "a b";
	refused(&req, "time server");
	req = request();
	req.scripts_dir = "/nonexistent";
	refused(&req, "/nonexistent/guest/probe");
	req = request();
	pv_vars_set(&settings.apache, "A\nnonce 0", "");
	req.settings = &settings;
	refused(&req, "apache value");
	pv_vars_done(&settings.apache);
}

static void write_text(const char *path, const char *text)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_write_file(path, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.text);
}

/* An Apache configuration with what the probe must follow and what it must pass over. */
static void make_apache(void)
{
	assert_int_equal(pv_mkdirs("apache/mods", 0755, NULL), 0);
	assert_int_equal(pv_mkdirs("apache/conf", 0755, NULL), 0);
	write_text("apache/apache2.conf", "Timeout 300\nKeepAlive Off\nIncludeOptional mods/*.load\nIncludeOptional mods/*.conf\n"
		   "Include conf/\n<VirtualHost *:80>\n\tTimeout 1\n</VirtualHost>\n# Timeout 2\nIncludeOptional gone/*.conf\n");
	write_text("apache/mods/mpm_event.load", "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n");
	write_text("apache/mods/mpm_event.conf", "<IfModule mpm_event_module>\n\tMaxRequestWorkers 150\n</IfModule>\n");
	write_text("apache/conf/a.conf", "<IfModule mpm_prefork_module>\nMaxRequestWorkers 7\n<IfModule mod_so.c>\nThreadLimit 7\n"
		   "</IfModule>\n</IfModule>\n<IfModule !mpm_prefork_module>\nThreadLimit \\\n  64\n</IfModule>\n"
		   "<IfDefine X>\nServerLimit 7\n</IfDefine>\n");
	write_text("apache/conf/z.conf", "maxrequestworkers   \"800\"  \nTimeout 60\n");
}

/* As the guest runs it, but on this machine and at once: its checksum, base64 and gzip against frames.c. What it was
 * told goes behind __DATA__; *ret_console is what it wrote. The caller frees both. */
static struct pv_vars run_probe(const char *data, char **ret_console)
{
	const char *const argv[] = { "perl", "-x", "probe", NULL };
	pv_autofree char *path = pv_path_join(root, "scripts/guest/probe");
	pv_autofree char *probe = NULL, *console = NULL;
	pv_autoframes *frames = pv_frames_new(NONCE);
	struct pv_vars facts = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_read_file(path, 1 << 20, &probe, NULL, NULL), 0);
	pv_autofree char *text = pv_fmt("#!/bin/sh\nexec false \"$0\"\n%s%s", probe, data);
	write_text("probe", text);
	write_text("console", "pvimg login: ");
	free(output(argv));
	assert_int_equal(pv_read_file("console", 1 << 20, &console, NULL, NULL), 0);
	*ret_console = pv_xstrdup(console);
	for (char *line = console, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		(void)pv_frames_line(frames, line);
	}
	assert_true(pv_frames_complete(frames));
	if (pv_frames_report(frames, &facts, &err) < 0)
		fail_msg("%s", err.text);
	return facts;
}

static void test_probe(void **state)
{
	static const char data[] = "nonce " NONCE "\nwait no\nsets 1\nchrony 0\nscratch .\ndevice console\n"
		"apache_conf apache/apache2.conf\napache Timeout\napache MaxRequestWorkers\napache ThreadLimit\n"
		"apache ServerLimit\napache KeepAlive\nsysctl kernel.ostype\nsysctl no.such\n";
	pv_autofree char *console = NULL;

	(void)state;
	make_apache();
	struct pv_vars facts = run_probe(data, &console);
	assert_null(strstr(console, "PVIMG-MEASURE"));
	assert_null(pv_vars_get(&facts, "irq_total"));
	assert_string_equal(pv_vars_get(&facts, "probe_version"), "1");
	assert_string_equal(pv_vars_get(&facts, "sysctl.kernel.ostype"), "Linux");
	assert_null(pv_vars_get(&facts, "sysctl.no.such"));
	assert_non_null(pv_vars_get(&facts, "mem_total_kib"));
	assert_non_null(pv_vars_get(&facts, "nics"));
	assert_string_equal(pv_vars_get(&facts, "apache.Timeout"), "60");
	assert_string_equal(pv_vars_get(&facts, "apache.MaxRequestWorkers"), "800");
	assert_string_equal(pv_vars_get(&facts, "apache.ThreadLimit"), "64");
	assert_string_equal(pv_vars_get(&facts, "apache.KeepAlive"), "Off");
	assert_null(pv_vars_get(&facts, "apache.ServerLimit"));
	assert_string_equal(pv_vars_get(&facts, "apache_mpm"), "event");
	pv_vars_done(&facts);
}

static uint64_t number(const struct pv_vars *facts, const char *name)
{
	const char *value = pv_vars_get(facts, name);
	uint64_t n = 0;

	if (!value || pv_parse_u64(value, 0, INT64_MAX, &n) < 0)
		fail_msg("%s: %s", name, value ? value : "(none)");
	return n;
}

/* Told to measure: the word to dom0 before the disk is read, numbers, the file. */
static void test_probe_measures(void **state)
{
	static const char data[] = "nonce " NONCE "\nwait no\nsets 1\nchrony 0\nscratch .\ndevice console\napache_conf none\n"
		"measure yes\nmeasure_pause 0\nmeasure_disk disk\nwww www\n";
	const char *const make_disk[] = { "truncate", "-s", "34M", "disk", NULL };
	pv_autofree char *console = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(pv_mkdirs("www", 0755, NULL), 0);
	free(output(make_disk));
	struct pv_vars facts = run_probe(data, &console);
	const char *word = strstr(console, "\nPVIMG-MEASURE " NONCE " disk\n");
	assert_non_null(word);
	assert_true(word < strstr(console, "\nPVIMG " NONCE " 0 "));
	assert_true(number(&facts, "irq_local_timer") > 0);
	assert_true(number(&facts, "irq_total") >= number(&facts, "irq_local_timer") + number(&facts, "irq_device"));
	assert_int_equal(number(&facts, "pull_bytes"), 8 << 20);
	assert_int_equal(stat("www/pvimg-pull", &st), 0);
	assert_int_equal(st.st_size, 8 << 20);
	assert_int_equal(st.st_mode & 0777, 0644);
	int direct = open("disk", O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct >= 0) {
		assert_int_equal(number(&facts, "disk_read_bytes"), 32 << 20);
		(void)number(&facts, "disk_read_ms");
		(void)number(&facts, "disk_irq_total");
		close(direct);
	}
	pv_vars_done(&facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk),
		cmocka_unit_test(test_user_data),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_probe_measures),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
