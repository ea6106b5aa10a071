/* SPDX-License-Identifier: Apache-2.0 */
/* Runs gpg, gpgv and ssh-keygen over SHA256SUMS. */
#include "signature.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "gpg.h"
#include "proc.h"
#include "sshsign.h"
#include "sums.h"

#define SIGNATURE_MAX ((size_t)64 << 10)
#define KEYRING_MAX ((size_t)16 << 20)
#define DEADLINE_S 300			/* a person may have to type a passphrase into the agent's window */

int pv_signature_key_check(const char *key, struct pv_error *err)
{
	if ((pv_starts(key, "gpg:") || pv_starts(key, "ssh:")) && key[4] && key[4] != '-')
		return 0;
	return pv_error_set(err, PV_ERR_USAGE, "--sign %s: gpg:KEYID or ssh:KEYFILE is wanted", key);
}

/* What gpg writes to its output. */
static int sign_gpg(const char *key, const char *text, size_t len, struct pv_str *ret, struct pv_error *err)
{
	const char *const argv[] = { "gpg", "--batch", "--no-tty", "--quiet", "--digest-algo", "SHA512", "--local-user", key,
				     "--output", "-", "--detach-sign", NULL };
	pv_autoclose int fd = memfd_create("signature", MFD_CLOEXEC);
	const struct pv_proc proc = {
		.argv = argv, .input = text, .input_len = len, .stdout_fd = fd, .deadline_s = DEADLINE_S,
	};
	struct stat st;

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "a file in memory");
	if (pv_proc_check(&proc, PV_ERR_ARCHIVE, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || (uint64_t)st.st_size > SIGNATURE_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, "gpg wrote none");
	pv_autofree char *signature = pv_xmalloc((size_t)st.st_size);
	if (pv_pread_all(fd, signature, (size_t)st.st_size, 0) != st.st_size)
		return pv_error_set(err, PV_ERR_STAGE, "cannot read what gpg wrote");
	pv_str_addn(ret, signature, (size_t)st.st_size);
	return 0;
}

int pv_signature_make(const char *dir, const char *key, struct pv_error *err)
{
	bool gpg = pv_starts(key, "gpg:");
	pv_autofree char *path = pv_path_join(dir, gpg ? PV_SUMS_GPG : PV_SUMS_SSH), *text = NULL;
	pv_autostr signature = PV_STR_INIT;
	size_t len;

	if (pv_proc_need(gpg ? "gpg" : "ssh-keygen", gpg ? "gpg" : "openssh-client", err) < 0 ||
	    pv_sums_read(dir, PV_SUMS_FILE, PV_SUMS_MAX, &text, &len, err) < 0)
		return -1;
	int rc = gpg ? sign_gpg(key + 4, text, len, &signature, err)
		     : pv_sshsign_make(key + 4, PV_SIGNATURE_NAMESPACE, text, len, &signature, err);
	if (rc < 0)
		return pv_error_wrap(err, "no signature was made");
	return pv_write_file(path, signature.data, signature.len, 0644, err);
}

static int outside(const char *option, const char *file, const char *dir, struct pv_error *err)
{
	pv_autofree char *real = realpath(file, NULL);

	if (!real)
		return pv_error_errno(err, PV_ERR_USAGE, errno, "--%s %s", option, file);
	pv_autofree char *real_dir = realpath(dir, NULL);
	if (!real_dir)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", dir);
	pv_autofree char *below = pv_path_join(real_dir, "");
	if (pv_starts(real, below))
		return pv_error_set(err, PV_ERR_USAGE, "--%s %s: it lies among the files it should vouch for, and proves "
				    "nothing; get the key from elsewhere", option, file);
	return 0;
}

int pv_signature_trust_check(const struct pv_signature_trust *trust, const char *dir, struct pv_error *err)
{
	bool ssh = trust->allowed_signers || trust->identity;

	if ((trust->keyring && ssh) || (!trust->keyring && (!trust->allowed_signers || !trust->identity)))
		return pv_error_set(err, PV_ERR_USAGE, "whose signature counts? Give --keyring FILE, or --allowed-signers "
				    "FILE and --identity ID");
	if (trust->identity && trust->identity[0] == '-')
		return pv_error_set(err, PV_ERR_USAGE, "--identity %s: no identity", trust->identity);
	return trust->keyring ? outside("keyring", trust->keyring, dir, err)
			      : outside("allowed-signers", trust->allowed_signers, dir, err);
}

/* A folder for a moment; gone with the scope. */
static void remove_folder(char **path)
{
	pv_autoerror ignored = PV_ERROR_INIT;

	if (*path && pv_rmtree(*path, &ignored) < 0)
		pv_error_clear(&ignored);	/* in the folder for temporary files: the system sweeps it */
	pv_freep(path);
}

static int make_folder(char **ret, struct pv_error *err)
{
	const char *tmp = getenv("TMPDIR");
	pv_autofree char *path = pv_fmt("%s/pvimg-signature.XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");

	if (!mkdtemp(path))
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	*ret = pv_steal(&path);
	return 0;
}

static int verify_gpg(const char *signature, size_t signature_len, const char *text, size_t len, const char *keyring,
		      const char *folder, char **ret_signer, struct pv_error *err)
{
	pv_autofree char *keys = pv_path_join(folder, "keys.gpg"), *material = NULL;
	size_t material_len;

	if (pv_proc_need("gpgv", "gpgv", err) < 0 || pv_read_file(keyring, KEYRING_MAX, &material, &material_len, err) < 0 ||
	    pv_gpg_keyring_make(material, material_len, NULL, folder, keys, err) < 0)
		return -1;
	return pv_gpg_verify_detached(text, len, signature, signature_len, keys, ret_signer, err);
}

static int verify_ssh(const char *signature, size_t signature_len, const char *text, size_t len,
		      const struct pv_signature_trust *trust, const char *folder, char **ret_signer, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(folder, PV_SUMS_SSH);

	if (pv_proc_need("ssh-keygen", "openssh-client", err) < 0 ||
	    pv_write_file(path, signature, signature_len, 0600, err) < 0)
		return -1;
	if (pv_sshsign_verify(trust->allowed_signers, trust->identity, PV_SIGNATURE_NAMESPACE, path, text, len, err) < 0)
		return pv_error_wrap(err, "bad signature, or none by %s", trust->identity);
	*ret_signer = pv_xstrdup(trust->identity);
	return 0;
}

int pv_signature_verify(const char *dir, const char *text, size_t len, const struct pv_signature_trust *trust,
			char **ret_signer, struct pv_error *err)
{
	const char *file = trust->keyring ? PV_SUMS_GPG : PV_SUMS_SSH;
	__attribute__((cleanup(remove_folder))) char *folder = NULL;
	pv_autofree char *signature = NULL;
	size_t n;

	if (pv_sums_read(dir, file, SIGNATURE_MAX, &signature, &n, err) < 0) {
		if (err && err->kind == PV_ERR_STAGE)
			err->kind = PV_ERR_ARCHIVE;
		return pv_error_wrap(err, "no signature of that kind");
	}
	if (make_folder(&folder, err) < 0)
		return -1;
	int rc = trust->keyring ? verify_gpg(signature, n, text, len, trust->keyring, folder, ret_signer, err)
				: verify_ssh(signature, n, text, len, trust, folder, ret_signer, err);
	return rc < 0 ? pv_error_wrap(err, "%s/%s", dir, file) : 0;
}
