/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg: the command table, the option table, where things are, and the exit code. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "fetch.h"
#include "fsutil.h"
#include "proc.h"
#include "sizing.h"
#include "version.h"

#ifndef PV_DATADIR
#define PV_DATADIR "/usr/local/share/pvimg"
#endif

/* Options of which the letters say nothing any more. */
enum {
	KEY_CACHE_REMOTE = 300,
	KEY_CACHE_SIGNERS,
	KEY_CACHE_CREDENTIALS,
	KEY_CACHE_PUSH,
	KEY_CACHE_KEY,
	KEY_PARALLEL,
};

/* Which commands take an option. */
enum {
	FOR_BUILD = 1u << 0,
	FOR_PLAN = 1u << 1,
	FOR_LIST = 1u << 2,
	FOR_LINT = 1u << 3,
	FOR_DOCTOR = 1u << 4,
	FOR_CLEAN = 1u << 5,
	FOR_VERIFY = 1u << 6,
	FOR_LOCK = 1u << 7,
	FOR_REPRODUCE = 1u << 8,
	FOR_DIFF = 1u << 9,
	FOR_CACHE = 1u << 10,
	FOR_COMPARE = 1u << 11,
	FOR_EXPORT = 1u << 12,
	FOR_IMPORT = 1u << 13,
	FOR_INSPECT = 1u << 14,
	FOR_PUBLISH = 1u << 15,
	FOR_MANIFEST = 1u << 16,
	FOR_CHECK = 1u << 17,
	FOR_ALL = (1u << 18) - 1,
	FOR_RECIPE = FOR_BUILD | FOR_PLAN | FOR_LOCK | FOR_REPRODUCE,
	FOR_BOOT = FOR_VERIFY | FOR_COMPARE,
};

struct command {
	const char *name, *operands, *summary;
	pv_cmd_fn *run;
	unsigned mask;
	int min_args, max_args;		/* max -1: any number */
};

static const struct command commands[] = {
	{ "build", "NAME...", "make the images of these recipes", pv_cmd_build, FOR_BUILD, 0, -1 },
	{ "plan", "NAME", "show what a build would do", pv_cmd_plan, FOR_PLAN, 1, 1 },
	{ "lock", "NAME...", "write down which packages these recipes get", pv_cmd_lock, FOR_LOCK, 1, -1 },
	{ "list", "", "list the recipes", pv_cmd_list, FOR_LIST, 0, 0 },
	{ "lint", "IMAGE", "check a finished raw image without booting it", pv_cmd_lint, FOR_LINT, 1, 1 },
	{ "verify", "IMAGE", "boot an image as a PVHVM guest under Xen and judge it", pv_cmd_verify, FOR_VERIFY, 1, 1 },
	{ "compare", "IMAGE", "boot an image in four ways and count what each takes", pv_cmd_compare,
	  FOR_COMPARE, 1, 1 },
	{ "reproduce", "NAME", "build twice in different conditions and compare", pv_cmd_reproduce, FOR_REPRODUCE, 1, 1 },
	{ "diff", "A B", "tell what two images or results differ in", pv_cmd_diff, FOR_DIFF, 2, 2 },
	{ "export", "IMAGE", "write a raw image in the formats that clouds take", pv_cmd_export, FOR_EXPORT, 1, 1 },
	{ "import", "FILE", "make a raw disk of a VHD, XVA, qcow2 or packed image", pv_cmd_import, FOR_IMPORT, 1, 1 },
	{ "inspect", "FILE", "tell what an image file is, what is in it, and its faults", pv_cmd_inspect, FOR_INSPECT, 1, 1 },
	{ "publish", "IMAGE", "put an image into a pool, a cloud, a mirror, an xl host", pv_cmd_publish, FOR_PUBLISH, 1, 1 },
	{ "manifest", "NAME|DIR", "write an image's SBOMs, provenance and SHA256SUMS", pv_cmd_manifest,
	  FOR_MANIFEST, 1, 1 },
	{ "check-signature", "NAME|DIR", "check an image's folder against its signature", pv_cmd_check_signature,
	  FOR_CHECK, 1, 1 },
	{ "doctor", "", "tell what this host can and cannot do", pv_cmd_doctor, FOR_DOCTOR, 0, 0 },
	{ "cache", "[WHAT]", "du, gc or verify: what builds keep for later ones", pv_cmd_cache, FOR_CACHE, 0, 1 },
	{ "clean", "", "remove what interrupted builds left", pv_cmd_clean, FOR_CLEAN, 0, 0 },
};

/* Options without a letter to be their key. */
enum { KEY_TO = 256, KEY_CA, KEY_PIN, KEY_KEEP, KEY_UNVERIFIED, KEY_ACCEPT_DRIVER, KEY_SIGN,
       KEY_ALLOWED_SIGNERS, KEY_IDENTITY, KEY_SHOW_FINGERPRINT, KEY_START };

struct option_row {
	const char *name, *argument, *summary;
	int key;
	unsigned mask;
};

static const struct option_row options[] = {
	{ "out", "DIR", "put results there (default: out/images, or beside FILE)", 'o',
	  FOR_BUILD | FOR_PLAN | FOR_DOCTOR | FOR_CLEAN | FOR_BOOT | FOR_REPRODUCE | FOR_EXPORT | FOR_IMPORT |
	  FOR_PUBLISH | FOR_MANIFEST | FOR_CHECK },
	{ "cache", "DIR", "store and work folders (default: ~/.cache/pvimg)", 'c',
	  FOR_RECIPE | FOR_DOCTOR | FOR_CLEAN | FOR_BOOT | FOR_INSPECT | FOR_CACHE },
	{ "cache-limit", "SIZE", "the cache may have that much (default: 20GiB)", 'Q', FOR_BUILD | FOR_CACHE },
	{ "cache-remote", "URL", "a registry that builders share; pulls what stages made", KEY_CACHE_REMOTE, FOR_BUILD },
	{ "cache-signers", "FILE", "with it: whose results are believed (allowed signers)", KEY_CACHE_SIGNERS, FOR_BUILD },
	{ "cache-credentials", "FILE", "with it: user:password, mode 0600", KEY_CACHE_CREDENTIALS, FOR_BUILD },
	{ "cache-push", NULL, "push what stages make here, too", KEY_CACHE_PUSH, FOR_BUILD },
	{ "cache-key", "FILE", "with it: the ssh key that signs", KEY_CACHE_KEY, FOR_BUILD },
	{ "recipes", "DIR", "recipes are in DIR, overlays in DIR/../overlays", 'r',
	  FOR_RECIPE | FOR_LIST | FOR_MANIFEST | FOR_PUBLISH },
	{ "suite", "NAME", "another suite of the same distribution", 's', FOR_RECIPE },
	{ "mirror", "URL", "archive to install from", 'm', FOR_RECIPE },
	{ "security", "URL", "archive of security updates; none: without them", 'S', FOR_RECIPE },
	{ "keyring", "FILE", "keys that sign the archive, or the image", 'k', FOR_RECIPE | FOR_CHECK },
	{ "allowed-signers", "FILE", "ssh keys that sign the image (ssh-keygen(1))", KEY_ALLOWED_SIGNERS, FOR_CHECK },
	{ "identity", "ID", "who of them has to have signed", KEY_IDENTITY, FOR_CHECK },
	{ "sign", "KEY", "gpg:KEYID or ssh:KEYFILE; publish: a key of gpg's", KEY_SIGN,
	  FOR_MANIFEST | FOR_PUBLISH },
	{ "set", "KEY=VALUE", "another value for a recipe's key; may be repeated", 'x', FOR_RECIPE },
	{ "jobs", "N", "downloads at the same time (default: 8)", 'j', FOR_RECIPE | FOR_BOOT },
	{ "parallel", "N", "images made at the same time (default: as many as fit)", KEY_PARALLEL, FOR_BUILD },
	{ "allow-older", NULL, "take an archive that is older than one seen before", 'A', FOR_RECIPE },
	{ "on-disk", NULL, "keep the system's tree on disk, also where memory would do", 'T', FOR_BUILD },
	{ "as-user", "USER", "root: who builds the second time (default: one found)", 'U', FOR_REPRODUCE },
	{ "locked", NULL, "demand a lock beside the recipe", 'l', FOR_BUILD | FOR_PLAN },
	{ "no-lock", NULL, "as if there were no lock beside the recipe", 'N', FOR_BUILD | FOR_PLAN },
	{ "offline", NULL, "touch no network; needs a lock and a filled store", 'z',
	  FOR_BUILD | FOR_PLAN | FOR_BOOT | FOR_REPRODUCE },
	{ "update", NULL, "make a lock anew that is there, and print what changed", 'u', FOR_LOCK },
	{ "wait", NULL, "wait for another build of the same image (default)", 'w', FOR_BUILD },
	{ "no-wait", NULL, "fail when the same image is being built", 'W', FOR_BUILD },
	{ "no-verify", NULL, "do not boot the image that was made", 'n', FOR_BUILD },
	{ "driver", "NAME", "auto, xl, xen-in-qemu or kvm-xen (default: auto)", 'd',
	  FOR_BUILD | FOR_BOOT },
	{ "deadline", "SECONDS", "a boot that takes longer has failed (default: 600)", 'D',
	  FOR_BUILD | FOR_BOOT | FOR_PUBLISH },
	{ "no-load", NULL, "without the test under load", 'L', FOR_BUILD | FOR_VERIFY },
	{ "no-saved", NULL, "start dom0 from nothing, not from its saved state", 'F',
	  FOR_BUILD | FOR_BOOT },
	{ "memory", "SIZE", "the guest's memory (default: the flavor's, else 2GiB)", 'M',
	  FOR_BOOT | FOR_EXPORT | FOR_PUBLISH },
	{ "vcpus", "N", "the guest's processors (default: the flavor's, else 2)", 'C',
	  FOR_BOOT | FOR_EXPORT | FOR_PUBLISH },
	{ "firmware", "NAME", "bios or uefi (default: bios)", 'f', FOR_VERIFY },
	{ "ovmf", "FILE", "for uefi: an OVMF built for Xen", 'O', FOR_VERIFY },
	{ "format", "NAME", "raw or qcow2 (default: by the file); export: a list", 'R',
	  FOR_BOOT | FOR_EXPORT | FOR_PUBLISH },
	{ "pad", NULL, "fill an image up to whole MiB; its size is kept beside it", 'P', FOR_EXPORT },
	{ "as", "NAME", "boot as pvhvm, hvm, pvh or pv (default: pvhvm)", 'G', FOR_VERIFY },
	{ "extra-disk", "FILE", "a second disk for the guest, read-only", 'E', FOR_VERIFY },
	{ "to", "URL", "where to: xapi, glance, simplestreams, s3 or xl+ssh", KEY_TO, FOR_PUBLISH },
	{ "ca", "FILE", "CAs that vouch for the host (default: the system's)", KEY_CA, FOR_PUBLISH },
	{ "pin", "SHA256", "trust the host by its certificate; may be repeated", KEY_PIN, FOR_PUBLISH },
	{ "show-fingerprint", NULL, "print a host's certificate; IMAGE is the URL then", KEY_SHOW_FINGERPRINT, FOR_PUBLISH },
	{ "keep", "N", "images of this name that stay (default: 1; a mirror 3)", KEY_KEEP, FOR_PUBLISH },
	{ "start", NULL, "xl+ssh: make a domain of it, and wait until it answers", KEY_START, FOR_PUBLISH },
	{ "unverified", NULL, "publish without a green verdict", KEY_UNVERIFIED, FOR_PUBLISH },
	{ "accept-driver", "NAME", "take a verdict of this driver too: kvm-xen", KEY_ACCEPT_DRIVER, FOR_PUBLISH },
	{ "explain", NULL, "say why each stage would run", 'e', FOR_PLAN },
	{ "all", NULL, "build: all images; clean: the store and verify's dom0 too", 'a', FOR_BUILD | FOR_CLEAN },
	{ "json", NULL, "print JSON", 'J', FOR_ALL },
	{ "verbose", NULL, "show what the programs that run inside say", 'v', FOR_ALL },
	{ "help", NULL, "show this help", 'h', FOR_ALL },
};

static void print_help(FILE *to)
{
	fputs("pvimg " PV_VERSION ": proven Ubuntu and Debian PVHVM images for Xen\n\n"
	      "usage: pvimg COMMAND [OPTION...] [OPERAND...]\n\n", to);
	for (size_t i = 0; i < PV_COUNT(commands); i++)
		fprintf(to, "  %-9s %-10s%s\n", commands[i].name, commands[i].operands, commands[i].summary);
	fputs("  help      [COMMAND] show this help, or a command's options\n\n"
	      "Exit codes: 0 done, 1 a stage failed, 2 usage, 3 recipe refused,\n"
	      "4 this host lacks something, 5 verdict not green, 6 archive or signature,\n"
	      "7 lint, inspect, diff or reproduce found something.\n"
	      "More: pvimg(1), pvimg-recipe(5).\n", to);
}

static void print_command_help(const struct command *cmd)
{
	printf("usage: pvimg %s [OPTION...]%s%s\n\n%s\n\n", cmd->name, *cmd->operands ? " " : "", cmd->operands,
	       cmd->summary);
	for (size_t i = 0; i < PV_COUNT(options); i++) {
		if (!(options[i].mask & cmd->mask))
			continue;
		pv_autofree char *left = pv_fmt("--%s%s%s", options[i].name, options[i].argument ? " " : "",
						options[i].argument ? options[i].argument : "");
		printf("  %-18s %s\n", left, options[i].summary);
	}
}

static const struct command *find_command(const char *name, struct pv_error *err)
{
	const char *names[PV_COUNT(commands) + 2] = { NULL };

	for (size_t i = 0; i < PV_COUNT(commands); i++) {
		if (pv_streq(commands[i].name, name))
			return &commands[i];
		names[i] = commands[i].name;
	}
	names[PV_COUNT(commands)] = "help";
	const char *near = pv_nearest(name, names);
	pv_error_set(err, PV_ERR_USAGE, "%s: no such command%s%s; see pvimg help", name,
		     near ? ", did you mean " : "", near ? near : "");
	return NULL;
}

static int help(int argc, char **argv, struct pv_error *err)
{
	if (argc < 1) {
		print_help(stdout);
		return 0;
	}
	const struct command *cmd = find_command(argv[0], err);
	if (!cmd)
		return -1;
	print_command_help(cmd);
	return 0;
}

static const struct option_row *row_of_key(int key)
{
	for (size_t i = 0; i < PV_COUNT(options); i++)
		if (options[i].key == key)
			return &options[i];
	return NULL;
}

static int take_number(int key, const char *value, unsigned max, unsigned *ret, struct pv_error *err)
{
	uint64_t n;

	if (pv_parse_u64(value, 1, max, &n) < 0)
		return pv_error_set(err, PV_ERR_USAGE, "--%s %s: a number from 1 to %u is wanted",
				    row_of_key(key)->name, value, max);
	*ret = (unsigned)n;
	return 0;
}

static int take_option(struct pv_opts *opts, int key, const char *value, struct pv_error *err)
{
	/* An empty one is a variable that was not set in somebody's script; the recipe's keys say more of theirs. */
	if (value && !*value && (key >= KEY_TO || strchr("ocrkdfORGEU", key)))
		return pv_error_set(err, PV_ERR_USAGE, "--%s: the value is empty; give one or leave the option out",
				    row_of_key(key)->name);
	switch (key) {
	case 'o': opts->out = value; return 0;
	case 'c': opts->cache = value; return 0;
	case 'r': opts->recipes = value; return 0;
	case 's': opts->suite = value; return 0;
	case 'm': opts->mirror = value; return 0;
	case 'S': opts->security = value; return 0;
	case 'k': opts->keyring = value; return 0;
	case KEY_ALLOWED_SIGNERS: opts->allowed_signers = value; return 0;
	case KEY_IDENTITY: opts->identity = value; return 0;
	case KEY_SIGN: opts->sign = value; return 0;
	case 'x': pv_strv_add(&opts->sets, value); return 0;
	case 'A': opts->allow_older = true; return 0;
	case 'l':
	case 'N':
		*(key == 'l' ? &opts->locked : &opts->no_lock) = true;
		if (opts->locked && opts->no_lock)
			return pv_error_set(err, PV_ERR_USAGE, "--locked and --no-lock: leave one out");
		return 0;
	case 'z': opts->offline = true; return 0;
	case 'u': opts->update = true; return 0;
	case 'w': opts->no_wait = false; return 0;
	case 'W': opts->no_wait = true; return 0;
	case 'e': opts->explain = true; return 0;
	case 'a': opts->all = true; return 0;
	case 'n': opts->no_verify = true; return 0;
	case 'd': opts->driver = value; return 0;
	case 'L': opts->no_load = true; return 0;
	case 'F': opts->no_saved = true; return 0;
	case 'f': opts->firmware = value; return 0;
	case 'O': opts->ovmf = value; return 0;
	case 'R': opts->format = value; return 0;
	case 'G': opts->as = value; return 0;
	case 'E': opts->extra_disk = value; return 0;
	case 'T': opts->on_disk = true; return 0;
	case 'U': opts->as_user = value; return 0;
	case KEY_CACHE_REMOTE: opts->cache_remote = value; return 0;
	case KEY_CACHE_SIGNERS: opts->cache_signers = value; return 0;
	case KEY_CACHE_CREDENTIALS: opts->cache_credentials = value; return 0;
	case KEY_CACHE_PUSH: opts->cache_push = true; return 0;
	case KEY_CACHE_KEY: opts->cache_key = value; return 0;
	case 'P': opts->pad = true; return 0;
	case KEY_TO: pv_strv_add(&opts->to, value); return 0;
	case KEY_CA: opts->ca = value; return 0;
	case KEY_PIN: pv_strv_add(&opts->pins, value); return 0;
	case KEY_KEEP: return take_number(key, value, 1000, &opts->keep, err);
	case KEY_UNVERIFIED: opts->unverified = true; return 0;
	case KEY_SHOW_FINGERPRINT: opts->show_fingerprint = true; return 0;
	case KEY_START: opts->start = true; return 0;
	case KEY_ACCEPT_DRIVER: opts->accept_driver = value; return 0;
	case 'J': opts->json = true; return 0;
	case 'v': opts->verbose = true; return 0;
	case 'M':
		if (pv_parse_size(value, &opts->memory) < 0 || opts->memory % (1u << 20) || !opts->memory)
			return pv_error_set(err, PV_ERR_USAGE, "--memory %s: whole MiB are wanted, as in 2GiB", value);
		return 0;
	case 'Q':
		if (pv_parse_size(value, &opts->cache_limit) < 0 || !opts->cache_limit)
			return pv_error_set(err, PV_ERR_USAGE, "--cache-limit %s: a size is wanted, as in 20GiB", value);
		return 0;
	case 'j': return take_number(key, value, 64, &opts->jobs, err);
	case KEY_PARALLEL: return take_number(key, value, 64, &opts->parallel, err);
	case 'C': return take_number(key, value, PV_SIZING_MAX_VCPUS, &opts->vcpus, err);
	case 'D': return take_number(key, value, 86400, &opts->deadline_s, err);
	default:
		return pv_error_set(err, PV_ERR_USAGE, "option -%c is not handled", key);
	}
}

static int unknown_option(const struct command *cmd, const char *word, struct pv_error *err)
{
	const char *names[PV_COUNT(options) + 1] = { NULL };
	size_t n = 0;
	pv_autofree char *bare = pv_xstrdup(word + strspn(word, "-"));

	bare[strcspn(bare, "=")] = '\0';
	for (size_t i = 0; i < PV_COUNT(options); i++)
		if (options[i].mask & cmd->mask)
			names[n++] = options[i].name;
	const char *near = pv_nearest(bare, names);
	return pv_error_set(err, PV_ERR_USAGE, "%s: no such option of %s%s%s; see pvimg help %s", word, cmd->name,
			    near ? ", did you mean --" : "", near ? near : "", cmd->name);
}

/* Parses the options of one command; *ret_help when --help was among them. */
static int parse_options(const struct command *cmd, int argc, char **argv, struct pv_opts *opts, bool *ret_help,
			 struct pv_error *err)
{
	struct option longs[PV_COUNT(options) + 1];
	int key;

	memset(longs, 0, sizeof(longs));
	for (size_t i = 0; i < PV_COUNT(options); i++)
		longs[i] = (struct option){ options[i].name, options[i].argument ? required_argument : no_argument,
					    NULL, options[i].key };
	*ret_help = false;
	opterr = 0;
	optind = 1;
	while ((key = getopt_long(argc, argv, ":hvo:j:", longs, NULL)) != -1) {
		const struct option_row *row = row_of_key(key);
		const char *word = argv[optind - (row && row->argument && optarg == argv[optind - 1] ? 2 : 1)];
		if (key == ':')
			return pv_error_set(err, PV_ERR_USAGE, "%s: a value is missing; see pvimg help %s", word,
					    cmd->name);
		if (key == '?')
			return unknown_option(cmd, word, err);
		if (!row || !(row->mask & cmd->mask))
			return unknown_option(cmd, word, err);
		if (key == 'h')
			*ret_help = true;
		else if (take_option(opts, key, optarg, err) < 0)
			return -1;
	}
	int operands = argc - optind;
	if (!*ret_help && operands < cmd->min_args)
		return pv_error_set(err, PV_ERR_USAGE, "%s: %s is missing; see pvimg help %s", cmd->name,
				    cmd->operands, cmd->name);
	if (!*ret_help && cmd->max_args >= 0 && operands > cmd->max_args)
		return pv_error_set(err, PV_ERR_USAGE, "%s: %s is one word too many; see pvimg help %s", cmd->name,
				    argv[optind + cmd->max_args], cmd->name);
	return 0;
}

/* The folder that holds recipes/, overlays/ and scripts/: the source tree when this program is its out/pvimg, else
 * where `make install` put them. */
static char *data_dir(void)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n > 0) {
		exe[n] = '\0';
		char *slash = strrchr(exe, '/');
		*slash = '\0';
		if (pv_ends(exe, "/out")) {
			exe[strlen(exe) - strlen("/out")] = '\0';
			pv_autofree char *recipes = pv_path_join(exe, "recipes/base");
			if (pv_exists(recipes))
				return pv_xstrdup(exe);
		}
	}
	return pv_xstrdup(PV_DATADIR);
}

static char *absolute(const char *path)
{
	if (path[0] == '/')
		return pv_xstrdup(path);
	pv_autofree char *cwd = getcwd(NULL, 0);
	return pv_path_join(cwd ? cwd : "/", path);
}

static int find_paths(const struct pv_opts *opts, struct pv_paths *ret, struct pv_error *err)
{
	pv_autofree char *data = data_dir();

	if (opts->recipes) {
		ret->recipes_dir = absolute(opts->recipes);
		ret->overlays_dir = pv_path_join(ret->recipes_dir, "../overlays");
	} else {
		ret->recipes_dir = pv_path_join(data, "recipes");
		ret->overlays_dir = pv_path_join(data, "overlays");
	}
	if (!pv_exists(ret->overlays_dir)) {
		pv_freep(&ret->overlays_dir);
		ret->overlays_dir = pv_path_join(data, "overlays");
	}
	ret->scripts_dir = pv_path_join(data, "scripts");
	ret->out_dir = absolute(opts->out ? opts->out : "out/images");
	if (opts->cache)
		ret->cache_dir = absolute(opts->cache);
	else
		ret->cache_dir = pv_cache_dir();
	if (!ret->cache_dir)
		return pv_error_set(err, PV_ERR_HOST,
				    "no cache folder: neither XDG_CACHE_HOME nor HOME is set; give --cache DIR");
	return 0;
}

static void paths_done(struct pv_paths *paths)
{
	pv_freep(&paths->recipes_dir);
	pv_freep(&paths->overlays_dir);
	pv_freep(&paths->scripts_dir);
	pv_freep(&paths->out_dir);
	pv_freep(&paths->cache_dir);
}

/* A build is followed as it goes: its JSON is one object a line, the last ones its results or its error. */
static int run_command(const struct command *cmd, struct pv_cmd_ctx *ctx, int argc, char **argv,
		       struct pv_error *err)
{
	bool json_lines = ctx->opts.json && cmd->mask == FOR_BUILD;

	ctx->log = pv_log_new(json_lines ? PV_LOG_JSON : PV_LOG_AUTO, ctx->opts.verbose);
	int rc = find_paths(&ctx->opts, &ctx->paths, err);
	if (rc == 0)
		rc = cmd->run(ctx, argc, argv, err);
	if (rc < 0)
		pv_log_error(ctx->log, err);
	pv_log_free(ctx->log);
	return rc;
}

static int run(int argc, char **argv, struct pv_error *err)
{
	struct pv_cmd_ctx ctx;
	bool wants_help;
	int rc;

	memset(&ctx, 0, sizeof(ctx));
	if (argc < 2)
		return print_help(stderr), pv_error_set(err, PV_ERR_USAGE, "a command is missing");
	if (pv_streq(argv[1], "help") || pv_streq(argv[1], "--help") || pv_streq(argv[1], "-h"))
		return help(argc - 2, argv + 2, err);
	if (pv_streq(argv[1], "--version")) {
		puts("pvimg " PV_VERSION);
		return 0;
	}
	const struct command *cmd = find_command(argv[1], err);
	if (!cmd)
		return -1;
	rc = parse_options(cmd, argc - 1, argv + 1, &ctx.opts, &wants_help, err);
	if (rc == 0 && wants_help)
		print_command_help(cmd);
	else if (rc == 0)
		rc = run_command(cmd, &ctx, argc - 1 - optind, argv + 1 + optind, err);
	pv_strv_done(&ctx.opts.sets);
	pv_strv_done(&ctx.opts.pins);
	pv_strv_done(&ctx.opts.to);
	paths_done(&ctx.paths);
	return rc;
}

int main(int argc, char **argv)
{
	pv_autoerror err = PV_ERROR_INIT;

	setlocale(LC_CTYPE, "");
	umask(022);	/* what sandboxes see of ours must be readable there */
	pv_proc_catch_signals();
	if (pv_fetch_global_init(&err) < 0 || run(argc, argv, &err) < 0) {
		fflush(stdout);		/* what was found comes before what it means */
		fprintf(stderr, "pvimg: %s\n", err.text ? err.text : "failed");
		return err.kind == PV_OK ? PV_ERR_STAGE : (int)err.kind;
	}
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "pvimg: standard output: %s\n", errno ? strerror(errno) : "write failed");
		return PV_ERR_STAGE;
	}
	return 0;
}
