/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg publish: an image to where clouds take theirs from. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd.h"
#include "fsutil.h"
#include "machine.h"
#include "publish_gate.h"
#include "publish_xapi.h"
#include "url.h"

#define CREDENTIALS_MAX 4096u

struct target {
	char *host, *sr;		/* sr NULL: the default */
	char *user, *password;
};

static void target_done(struct target *t)
{
	free(t->host);
	free(t->sr);
	free(t->user);
	free(t->password);
}
#define auto_target __attribute__((cleanup(target_done))) struct target

/* --- what the command line says --- */

/* Percent signs away; -1 for what is no UTF-8. */
static int decode(const char *text, char **ret)
{
	pv_autostr s = PV_STR_INIT;
	json_t *utf8;

	for (; *text; text++) {
		char hex[3] = "";

		if (*text == '%') {
			memcpy(hex, text + 1, strnlen(text + 1, 2));
			if (strspn(hex, "0123456789abcdefABCDEF") != 2 || pv_streq(hex, "00"))
				return -1;
			pv_str_addc(&s, (char)strtol(hex, NULL, 16));
			text += 2;
		} else {
			pv_str_addc(&s, *text);
		}
	}
	utf8 = json_string(pv_str_text(&s));
	if (!utf8)
		return -1;
	json_decref(utf8);
	*ret = pv_str_steal(&s);
	return 0;
}

/* xapi://HOST[:PORT][/SR] */
static int split_to(const char *to, struct target *t, struct pv_error *err)
{
	static const char scheme[] = "xapi://";
	pv_autofree char *shown = pv_url_redacted(to), *https = NULL;
	const char *host = to + sizeof(scheme) - 1, *slash;
	pv_autourl url = { 0 };

	if (!pv_starts(to, scheme))
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: no such target; xapi://HOST[:PORT][/STORAGE] is one", shown);
	slash = strchr(host, '/');
	https = pv_fmt("https://%.*s", slash ? (int)(slash - host) : (int)strlen(host), host);
	if (pv_url_split(https, &url, NULL) < 0)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: xapi://HOST[:PORT][/STORAGE] is wanted", shown);
	if (*url.user || *url.password)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: a password in a URL would be seen by others; put it into "
				    "PVIMG_XAPI_PASSWORD", shown);
	t->host = pv_fmt("%s%s%s", url.host, *url.port ? ":" : "", url.port);
	if (strchr(url.host, ':')) {		/* IPv6 */
		free(t->host);
		t->host = pv_fmt("[%s]%s%s", url.host, *url.port ? ":" : "", url.port);
	}
	const char *sr = slash ? slash + 1 : "";
	if (*sr && (strchr(sr, '/') || decode(sr, &t->sr) < 0))
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: one storage is wanted after the host, by name or uuid", shown);
	return 0;
}

/* Two lines, user and password, in a file that nobody else can read. */
static int read_credentials(const char *path, struct target *t, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	struct stat st;

	if (stat(path, &st) < 0)
		return pv_error_errno(err, PV_ERR_USAGE, errno, "%s (PVIMG_XAPI_CREDENTIALS)", path);
	if (st.st_mode & 077)
		return pv_error_set(err, PV_ERR_USAGE, "%s: others can read it; chmod 600 %s", path, path);
	if (pv_read_file(path, CREDENTIALS_MAX, &text, NULL, err) < 0)
		return -1;
	char *end = strchr(text, '\n');
	if (!end || end == text)
		return pv_error_set(err, PV_ERR_USAGE, "%s: two lines are wanted, user and password", path);
	t->user = pv_xstrndup(text, (size_t)(end - text));
	t->password = pv_xstrndup(end + 1, strcspn(end + 1, "\n"));
	return 0;
}

static int find_credentials(struct target *t, struct pv_error *err)
{
	const char *file = getenv("PVIMG_XAPI_CREDENTIALS"), *user = getenv("PVIMG_XAPI_USER"),
		   *password = getenv("PVIMG_XAPI_PASSWORD");

	if (file && *file)
		return read_credentials(file, t, err);
	if (!password || !*password)
		return pv_error_set(err, PV_ERR_USAGE, "no password: set PVIMG_XAPI_PASSWORD, or PVIMG_XAPI_CREDENTIALS to a "
				    "file of mode 0600 with user and password in two lines");
	t->user = pv_xstrdup(user && *user ? user : "root");
	t->password = pv_xstrdup(password);
	return 0;
}

/* As --show-fingerprint of others print them too: with colons or without, in either case. */
static int take_pins(const struct pv_strv *words, struct pv_strv *ret, struct pv_error *err)
{
	for (size_t i = 0; i < words->n; i++) {
		pv_autostr hex = PV_STR_INIT;

		for (const char *c = words->v[i]; *c; c++)
			if (*c != ':')
				pv_str_addc(&hex, *c >= 'A' && *c <= 'F' ? (char)(*c + 'a' - 'A') : *c);
		if (!pv_digest_valid(pv_str_text(&hex)))
			return pv_error_set(err, PV_ERR_USAGE, "--pin %s: the SHA-256 of a certificate is wanted, 64 digits",
					    words->v[i]);
		pv_strv_add(ret, pv_str_text(&hex));
	}
	return 0;
}

/* NAME of the output folder, or a path. */
static char *image_of(const struct pv_cmd_ctx *ctx, const char *word)
{
	if (strchr(word, '/') || pv_ends(word, ".raw"))
		return pv_xstrdup(word);
	return pv_fmt("%s/%s/%s.raw", ctx->paths.out_dir, word, word);
}

/* --- showing --- */

struct shown {
	struct pv_log *log;
	const char *image, *stage;	/* stage: the one that is open */
};

static void show_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct shown *s = arg;

	if (!pv_streq(s->stage, what)) {
		if (s->stage)
			pv_log_stage_end(s->log, true, NULL);
		pv_log_stage_begin(s->log, s->image, what);
		s->stage = what;
	}
	pv_log_stage_progress(s->log, done, total, "bytes");
}

static void show_note(void *arg, const char *line)
{
	const struct shown *s = arg;

	pv_log_warn(s->log, "%s", line);
}

static void print_result(const struct pv_cmd_ctx *ctx, const char *name, const struct pv_publish_xapi_result *r)
{
	if (ctx->opts.json) {
		json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:i, s:i}", "schema", "pvimg.publish/1",
					 "image", name, "sha256", r->sha256, "target", r->base, "id", r->uuid, "already",
					 r->already, "sent", (json_int_t)r->sent, "tries", (int)r->tries, "removed",
					 (int)r->removed);
		pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);

		json_decref(root);
		puts(text ? text : "{}");
		return;
	}
	printf("%s  %s  template %s  %s", name, r->base, r->uuid, r->already ? "was there already" : "published");
	if (r->removed)
		printf(", %u older removed", r->removed);
	putchar('\n');
}

int pv_cmd_publish(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	const struct pv_opts *o = &ctx->opts;
	pv_autofree char *image = image_of(ctx, argv[0]);
	pv_automachine machine = { .name = NULL };
	auto_target target = { 0 };
	pv_autostrv pins = PV_STRV_INIT;
	char sha256[PV_SHA256_HEX];
	struct pv_publish_xapi_result result = { 0 };

	(void)argc;
	if (!o->to)
		return pv_error_set(err, PV_ERR_USAGE, "--to URL is missing: xapi://HOST[:PORT][/STORAGE]");
	if (o->ca && o->pins.n)
		return pv_error_set(err, PV_ERR_USAGE, "--ca and --pin: leave one out");
	if (split_to(o->to, &target, err) < 0 || take_pins(&o->pins, &pins, err) < 0 ||
	    find_credentials(&target, err) < 0 || pv_machine_of_image(image, o->memory, o->vcpus, &machine, err) < 0 ||
	    pv_publish_gate(image, o->unverified, o->accept_driver, sha256, err) < 0)
		return -1;
	struct shown shown = { ctx->log, machine.name, NULL };
	const struct pv_publish_xapi req = {
		.host = target.host,
		.sr = target.sr,
		.trust = { o->ca, (const char *const *)pins.v, pins.n },
		.user = target.user,
		.password = target.password,
		.keep = o->keep ? o->keep : 1,
		.image = image,
		.machine = &machine,
		.sha256 = *sha256 ? sha256 : NULL,
		.progress = show_progress,
		.note = show_note,
		.ctx = &shown,
	};
	int rc = pv_publish_xapi(&req, &result, err);
	if (shown.stage)
		pv_log_stage_end(ctx->log, rc == 0, NULL);
	if (rc == 0)
		print_result(ctx, machine.name, &result);
	pv_publish_xapi_result_done(&result);
	return rc;
}
