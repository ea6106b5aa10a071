/* SPDX-License-Identifier: Apache-2.0 */
/* Throw-away keys and archives for tests, made with gpg, dpkg-deb and the shell. */
#include "archive_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fsutil.h"
#include "proc.h"

/* The folder is below /tmp whatever TMPDIR says: a gpg-agent's socket path must be short. */
static const char prelude[] =
	"set -eu\n"
	"umask 022\n"
	"export LC_ALL=C GNUPGHOME=\"$PWD/keys\"\n"
	"quiet_gpg() { gpg --batch --quiet --no-tty --yes --pinentry-mode loopback --passphrase '' \"$@\" 2>>gpg.log; }\n"
	/* sign_as "FPR..." IN OUT [gpg options] */
	"sign_as() {\n"
	"	keys=$1 in=$2 out=$3; shift 3\n"
	"	users=; for k in $keys; do users=\"$users -u $k!\"; done\n"
	"	quiet_gpg \"$@\" $users --output \"$out\" --clearsign \"$in\"\n"
	"}\n"
	"export_keys() { out=$1; shift; quiet_gpg --output \"$out\" --export \"$@\"; }\n"
	/* mkdeb OUT TREE COMPRESSION: package name and version from TREE/DEBIAN/control */
	"mkdeb() { dpkg-deb --root-owner-group -Z\"$3\" --build \"$2\" \"$1\" >/dev/null; }\n"
	/* sums DIR: lines of Release's SHA256 */
	"sums() {\n"
	"	(cd \"$1\" && find . -type f -name 'Packages*' ! -path '*/by-hash/*' | LC_ALL=C sort | while read -r f; do\n"
	"		printf ' %s %s %s\\n' \"$(sha256sum <\"$f\" | cut -d' ' -f1)\" \"$(stat -c %s \"$f\")\" \"${f#./}\"\n"
	"	done)\n"
	"}\n"
	"if [ -f names ]; then . ./names; fi\n";

static const char make_keys[] =
	"mkdir -m 700 keys; mkdir work cache mirror\n"
	"fpr() { gpg -k --with-colons \"$1\" 2>>gpg.log | sed -n 's/^fpr:::::::::\\(.*\\):/\\1/p' | head -n 1; }\n"
	"grip() { gpg -k --with-colons --with-keygrip \"$1\" 2>>gpg.log | sed -n 's/^grp:::::::::\\(.*\\):/\\1/p' | head -n 1; }\n"
	"new() { quiet_gpg \"$@\"; }\n"
	"new --faked-system-time 20240101T000000! --quick-gen-key 'good <good@test>' ed25519 sign 0\n"
	"new --faked-system-time 20240101T000000! --quick-gen-key 'other <other@test>' ed25519 sign 0\n"
	"new --faked-system-time 20200101T000000! --quick-gen-key 'expired <expired@test>' ed25519 sign 1y\n"
	"new --faked-system-time 20240101T000000! --quick-gen-key 'revoked <revoked@test>' ed25519 sign 0\n"
	"new --faked-system-time 20230101T000000! --quick-gen-key 'adopter <adopter@test>' ed25519 sign 0\n"
	"GOOD=$(fpr good@test) OTHER=$(fpr other@test) EXPIRED=$(fpr expired@test)\n"
	"REVOKED=$(fpr revoked@test) ADOPTER=$(fpr adopter@test)\n"
	"quiet_gpg --faked-system-time 20240101T000000! --quick-add-key $OTHER ed25519 sign 0\n"
	"printf 'addkey\\n13\\n%s\\ns\\nq\\n0\\ny\\nsave\\n' \"$(grip good@test)\" | gpg --quiet --no-tty --expert \\\n"
	"	--faked-system-time 20240101T000000! --command-fd 0 --pinentry-mode loopback --passphrase '' \\\n"
	"	--edit-key $ADOPTER >>gpg.log 2>&1\n"
	"for k in GOOD OTHER EXPIRED REVOKED ADOPTER; do eval \"printf '%s=%s\\n' $k \\$$k\"; done >names\n";

static int run_line(const char *dir, const char *line, char **ret_tail)
{
	pv_autofree char *script = pv_fmt("%s%s", prelude, line);
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct pv_proc proc = { .argv = argv, .cwd = dir, .deadline_s = 120 };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_proc_run(&proc, &res, &err) < 0) {
		*ret_tail = pv_xstrdup(err.text);
		return -1;
	}
	*ret_tail = pv_xstrdup(res.tail ? res.tail : "");
	return res.exit_code;
}

void fx_sh(const struct fx *fx, const char *fmt, ...)
{
	pv_autofree char *line = NULL;
	pv_autofree char *tail = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&line, fmt, ap);
	va_end(ap);
	assert_true(n >= 0);
	if (run_line(fx->dir, line, &tail) != 0)
		fail_msg("%s: %s", line, tail);
}

char *fx_path(const struct fx *fx, const char *name)
{
	return pv_path_join(fx->dir, name);
}

char *fx_read(const struct fx *fx, const char *name, size_t *ret_len)
{
	pv_autofree char *path = fx_path(fx, name);
	pv_autoerror err = PV_ERROR_INIT;
	char *data;

	if (pv_read_file(path, 64u << 20, &data, ret_len, &err) < 0)
		fail_msg("%s", err.text);
	return data;
}

void fx_write(const struct fx *fx, const char *name, const void *data, size_t len)
{
	pv_autofree char *path = fx_path(fx, name);
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_write_file(path, data, len, 0644, &err) < 0)
		fail_msg("%s", err.text);
}

static char *name_value(const struct fx *fx, const char *name)
{
	pv_autofree char *text = fx_read(fx, "names", NULL);
	pv_autofree char *key = pv_fmt("%s=", name);
	const char *p = strstr(text, key);

	if (!p || strcspn(p + strlen(key), "\n") != 40)
		fail_msg("key %s was not made", name);
	return pv_xstrndup(p + strlen(key), 40);
}

static bool have_tools(void)
{
	static const char *const tools[] = { "gpg", "gpgv", "gpgconf", "dpkg-deb", "xz", "gzip", "ar", "tar" };

	for (size_t i = 0; i < PV_COUNT(tools); i++) {
		pv_autofree char *path = pv_proc_which(tools[i]);

		if (!path) {
			printf("skipped: no %s on this host\n", tools[i]);
			return false;
		}
	}
	return true;
}

struct fx *fx_new(void)
{
	char dir[] = "/tmp/pvfx.XXXXXX";
	pv_autofree char *tail = NULL;
	struct fx *fx;

	if (!have_tools())
		return NULL;
	if (!mkdtemp(dir)) {
		perror(dir);
		exit(1);
	}
	if (run_line(dir, make_keys, &tail) != 0) {
		fprintf(stderr, "cannot make keys in %s: %s\n", dir, tail);
		exit(1);
	}
	fx = pv_xcalloc(1, sizeof(*fx));
	fx->dir = pv_xstrdup(dir);
	fx->good = name_value(fx, "GOOD");
	fx->other = name_value(fx, "OTHER");
	fx->expired = name_value(fx, "EXPIRED");
	fx->revoked = name_value(fx, "REVOKED");
	fx->adopter = name_value(fx, "ADOPTER");
	return fx;
}

void fx_free(struct fx *fx)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *tail = NULL;

	if (!fx)
		return;
	(void)run_line(fx->dir, "gpgconf --kill all", &tail);
	if (pv_rmtree(fx->dir, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	free(fx->dir);
	free(fx->good);
	free(fx->other);
	free(fx->expired);
	free(fx->revoked);
	free(fx->adopter);
	free(fx);
}

static void add_field(struct pv_str *s, const char *name, const char *value, const char *otherwise)
{
	const char *text = value ? value : otherwise;

	if (*text)
		pv_str_addf(s, "%s: %s\n", name, text);
}

static void add_date(struct pv_str *s, const char *name, int64_t when)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)when;
	struct tm tm;

	gmtime_r(&t, &tm);
	pv_str_addf(s, "%s: %s, %02d %s %d %02d:%02d:%02d UTC\n", name, days[tm.tm_wday], tm.tm_mday,
		    months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void fx_suite(const struct fx *fx, const struct fx_suite *s)
{
	const char *name = s->name ? s->name : "noble", *mirror = s->mirror ? s->mirror : "mirror";
	pv_autofree char *dist = pv_fmt("%s/dists/%s", mirror, name);
	pv_autofree char *bin = pv_fmt("%s/main/binary-amd64", dist);
	pv_autofree char *packages = pv_fmt("%s/Packages", bin);
	pv_autofree char *release = pv_fmt("%s/Release", dist);
	pv_autostr text = PV_STR_INIT;

	fx_sh(fx, "rm -rf %s; mkdir -p %s", dist, bin);
	fx_write(fx, packages, s->packages ? s->packages : "", strlen(s->packages ? s->packages : ""));
	if (!s->only_plain)
		fx_sh(fx, "gzip -9nk %s", packages);
	if (!s->no_xz && !s->only_plain)
		fx_sh(fx, "xz -k %s", packages);
	add_field(&text, "Origin", s->origin, "Ubuntu");
	add_field(&text, "Label", s->label, "Ubuntu");
	add_field(&text, "Suite", s->suite, name);
	add_field(&text, "Codename", s->codename, "noble");
	add_date(&text, "Date", s->date ? s->date : (int64_t)time(NULL));
	if (s->valid_until)
		add_date(&text, "Valid-Until", s->valid_until);
	if (s->by_hash || s->by_hash_lie)
		pv_str_add(&text, "Acquire-By-Hash: yes\n");
	add_field(&text, "Architectures", s->archs, "amd64");
	add_field(&text, "Components", s->components, "main");
	pv_str_add(&text, s->extra ? s->extra : "");
	pv_str_add(&text, "SHA256:\n");
	fx_write(fx, release, text.data, text.len);
	fx_sh(fx, "sums %s >>%s; sign_as '%s' %s %s/InRelease", dist, release,
	      s->signer ? s->signer : fx->good, release, dist);
	if (s->by_hash)
		fx_sh(fx, "cd %s; mkdir -p by-hash/SHA256; for f in Packages*; do "
		      "mv $f by-hash/SHA256/$(sha256sum <$f | cut -d' ' -f1); done", bin);
}

char *fx_keyring_package(const struct fx *fx, const char *ring, const char *version)
{
	pv_autofree char *text = NULL;

	fx_sh(fx, "t=pkg-%s; rm -rf $t; mkdir -p $t/DEBIAN $t/usr/share/keyrings $t/usr/share/doc/x mirror/pool\n"
	      "printf 'Package: ubuntu-keyring\\nVersion: %s\\nArchitecture: all\\nMaintainer: x <x@test>\\n"
	      "Description: test\\n' >$t/DEBIAN/control\n"
	      "printf '#!/bin/sh\\ntouch ran-it\\n' >$t/DEBIAN/preinst; chmod 755 $t/DEBIAN/preinst\n"
	      "cp %s $t/usr/share/keyrings/ubuntu-archive-keyring.gpg; echo hi >$t/usr/share/doc/x/y\n"
	      "d=mirror/pool/ubuntu-keyring_%s_all.deb; mkdeb $d $t zstd\n"
	      "{ cat $t/DEBIAN/control; printf 'Filename: %%s\\nSize: %%s\\nSHA256: %%s\\n\\n' ${d#mirror/} "
	      "$(stat -c %%s $d) $(sha256sum <$d | cut -d' ' -f1); } >stanza",
	      version, version, ring, version);
	text = fx_read(fx, "stanza", NULL);
	return pv_steal(&text);
}
