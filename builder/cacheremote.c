/* SPDX-License-Identifier: Apache-2.0 */
/* Records and their objects in a registry: found, believed or not, pulled, pushed. */
#include "cacheremote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "registry.h"
#include "sshsign.h"

#define CREDENTIALS_MAX ((size_t)4096)

struct pv_cacheremote {
	struct pv_registry *registry;
	const struct pv_store *store;
	char *signers, *key;		/* key NULL: nothing is pushed */
	bool no_pull, no_push;
};

/* --- what the command line said --- */

static int read_credentials(const char *path, char **ret, struct pv_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return pv_error_errno(err, PV_ERR_USAGE, errno, "--cache-credentials %s", path);
	if ((st.st_mode & 077) != 0)
		return pv_error_set(err, PV_ERR_USAGE, "--cache-credentials %s: others may read it; chmod 600 %s", path, path);
	if (pv_read_file(path, CREDENTIALS_MAX, ret, NULL, err) < 0)
		return -1;
	(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return 0;
}

static int take_credentials(const char *path, char **ret, struct pv_error *err)
{
	if (path)
		return read_credentials(path, ret, err);
	*ret = pv_xstrdup(getenv(PV_CACHEREMOTE_ENV));
	(void)unsetenv(PV_CACHEREMOTE_ENV);
	return 0;
}

static int check_readable(const char *option, const char *path, struct pv_error *err)
{
	if (access(path, R_OK) < 0)
		return pv_error_errno(err, PV_ERR_USAGE, errno, "%s %s", option, path);
	return 0;
}

int pv_cacheremote_new(const struct pv_cacheremote_request *request, const struct pv_store *store,
		       struct pv_cacheremote **ret, struct pv_error *err)
{
	pv_autocacheremote *remote = pv_xcalloc(1, sizeof(*remote));
	pv_autofree char *credentials = NULL;

	if (!request->signers)
		return pv_error_set(err, PV_ERR_USAGE, "--cache-remote: whose results are believed? Name them with "
				    "--cache-signers FILE (allowed signers, see ssh-keygen(1))");
	if (check_readable("--cache-signers", request->signers, err) < 0 ||
	    (request->key && check_readable("--cache-key", request->key, err) < 0) ||
	    take_credentials(request->credentials, &credentials, err) < 0)
		return -1;
	int rc = pv_registry_new(request->url, credentials, &remote->registry, err);
	if (credentials)
		explicit_bzero(credentials, strlen(credentials));
	if (rc < 0)
		return pv_error_wrap(err, "--cache-remote");
	if (pv_proc_need("ssh-keygen", "openssh-client", err) < 0)
		return -1;
	remote->store = store;
	remote->signers = pv_xstrdup(request->signers);
	remote->key = pv_xstrdup(request->key);
	*ret = pv_steal(&remote);
	return 0;
}

void pv_cacheremote_free(struct pv_cacheremote *remote)
{
	if (!remote)
		return;
	pv_registry_free(remote->registry);
	free(remote->signers);
	free(remote->key);
	free(remote);
}

void pv_cacheremote_freep(struct pv_cacheremote **remote)
{
	pv_cacheremote_free(*remote);
	*remote = NULL;
}

bool pv_cacheremote_pulls(const struct pv_cacheremote *remote)
{
	return remote && !remote->no_pull;
}

bool pv_cacheremote_pushes(const struct pv_cacheremote *remote)
{
	return remote && remote->key && !remote->no_push;
}

/* --- pulling --- */

static void unlinkp(char **path)
{
	if (*path)
		(void)unlink(*path);
	pv_freep(path);
}

#define autounlink __attribute__((cleanup(unlinkp)))

/* The name of a file of ours in the store's tmp folder, where the next run removes what a dead one left. */
static char *tmp_path(const struct pv_cacheremote *remote, const char *what)
{
	char *path = pv_fmt("%s/put.%ld.remote-%s", pv_store_tmp(remote->store), (long)getpid(), what);

	(void)unlink(path);
	return path;
}

static int check_signature(const struct pv_cacheremote *remote, const struct pv_str *record, const struct pv_str *signature,
			   struct pv_error *err)
{
	autounlink char *path = tmp_path(remote, "signature");
	pv_autofree char *signer = NULL;

	if (pv_write_file(path, signature->data, signature->len, 0600, err) < 0)
		return -1;
	return pv_sshsign_check(remote->signers, PV_CACHEREMOTE_NAMESPACE, path, record->data, record->len, &signer, err);
}

/* Signed first, read then. */
static int find(struct pv_cacheremote *remote, const char *tag, const char *stage, const char *key, struct pv_cacherecord *ret,
		bool *ret_found, struct pv_error *err)
{
	pv_autostr text = PV_STR_INIT, record = PV_STR_INIT, signature = PV_STR_INIT;
	pv_autocacherecord found = { 0 };
	struct pv_cachemanifest manifest;

	if (pv_registry_manifest(remote->registry, tag, PV_CACHEMANIFEST_TYPE, PV_CACHEMANIFEST_MAX, &text, ret_found, err) < 0)
		return -1;
	if (!*ret_found)
		return 0;
	if (pv_cachemanifest_parse(pv_str_text(&text), text.len, &manifest, err) < 0 ||
	    pv_registry_blob(remote->registry, manifest.record.sha256, manifest.record.size, &record, err) < 0 ||
	    pv_registry_blob(remote->registry, manifest.signature.sha256, manifest.signature.size, &signature, err) < 0 ||
	    check_signature(remote, &record, &signature, err) < 0 ||
	    pv_cacherecord_parse(pv_str_text(&record), record.len, &found, err) < 0)
		return -1;
	if (!pv_streq(found.stage, stage) || !pv_streq(found.key, key))
		return pv_error_set(err, PV_ERR_ARCHIVE, "the record under %s is meant for another key", tag);
	*ret = found;
	found = (struct pv_cacherecord){ 0 };
	return 0;
}

int pv_cacheremote_find(struct pv_cacheremote *remote, const char *tag, const char *stage, const char *key,
			struct pv_cacherecord *ret, bool *ret_found, struct pv_error *err)
{
	*ret_found = false;
	if (find(remote, tag, stage, key, ret, ret_found, err) == 0)
		return 0;
	*ret_found = false;
	remote->no_pull = true;
	return -1;
}

int pv_cacheremote_pull(struct pv_cacheremote *remote, const struct pv_cacherecord *record, char **ret_path,
			struct pv_error *err)
{
	autounlink char *path = tmp_path(remote, "object");

	remote->no_pull = true;
	if (pv_store_need(remote->store, record->size, err) < 0)
		return -1;
	pv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (pv_registry_blob_file(remote->registry, record->sha256, record->size, fd, err) < 0)
		return -1;
	remote->no_pull = false;
	*ret_path = pv_steal(&path);
	return 0;
}

/* --- pushing --- */

static int push_mem(struct pv_cacheremote *remote, const char *data, size_t len, struct pv_cacheblob *ret, struct pv_error *err)
{
	pv_digest_mem(data, len, ret->sha256);
	ret->size = len;
	return pv_registry_push_blob(remote->registry, ret->sha256, len, data, -1, err);
}

static int push_object(struct pv_cacheremote *remote, const struct pv_cacheblob *object, struct pv_error *err)
{
	pv_autofree char *path = pv_store_path(remote->store, object->sha256);
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	return pv_registry_push_blob(remote->registry, object->sha256, object->size, NULL, fd, err);
}

/* The manifest comes last: whoever sees it sees all that it names. */
static int push(struct pv_cacheremote *remote, const struct pv_cacherecord *record, const char *const *tags,
		struct pv_error *err)
{
	pv_autofree char *text = pv_cacherecord_text(record);
	struct pv_cachemanifest manifest = { .object = { .size = record->size } };
	pv_autostr signature = PV_STR_INIT;

	memcpy(manifest.object.sha256, record->sha256, sizeof(manifest.object.sha256));
	if (pv_sshsign_make(remote->key, PV_CACHEREMOTE_NAMESPACE, text, strlen(text), &signature, err) < 0 ||
	    push_object(remote, &manifest.object, err) < 0 ||
	    push_mem(remote, text, strlen(text), &manifest.record, err) < 0 ||
	    push_mem(remote, pv_str_text(&signature), signature.len, &manifest.signature, err) < 0)
		return -1;
	pv_autofree char *doc = pv_cachemanifest_text(&manifest);
	for (size_t i = 0; tags[i]; i++)
		if (pv_registry_push_manifest(remote->registry, tags[i], PV_CACHEMANIFEST_TYPE, doc, err) < 0)
			return -1;
	return 0;
}

int pv_cacheremote_push(struct pv_cacheremote *remote, const struct pv_cacherecord *record, const char *const *tags,
			struct pv_error *err)
{
	int rc = push(remote, record, tags, err);

	remote->no_push = rc < 0;
	return rc;
}
