/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the newest Release Date seen of each suite in small files below the cache folder. */
#include "freshness.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "text.h"

#define RECORD_MAX 32		/* bytes of a record: a number and a newline */

/* Origin and suite come from outside: what is no plain character becomes '_', and the name never begins with a dot. */
static char *record_path(const char *cache_dir, const char *origin, const char *suite)
{
	pv_autofree char *name = pv_fmt("%.100s_%.100s", origin, suite);

	for (char *p = name; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || *p == '-' || (*p == '.' && p > name)))
			*p = '_';
	return pv_fmt("%s/freshness/%s", cache_dir, name);
}

/* *ret 0 when there is no record. */
static int read_record(const char *path, int64_t *ret, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	uint64_t value;
	size_t len;

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		*ret = 0;
		return 0;
	}
	if (pv_read_file(path, RECORD_MAX, &text, &len, err) < 0)
		return -1;
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	if (strlen(text) + 1 < len || pv_parse_u64(text, 1, INT64_MAX, &value) < 0)
		return pv_error_set(err, PV_ERR_STAGE,
				    "%s: not a date in seconds; remove it to forget what was seen", path);
	*ret = (int64_t)value;
	return 0;
}

int pv_freshness_check(const char *cache_dir, const char *origin, const char *suite, int64_t date,
		       bool allow_older, struct pv_error *err)
{
	pv_autofree char *path = record_path(cache_dir, origin, suite);
	int64_t seen = 0;

	if (allow_older)
		return 0;
	if (read_record(path, &seen, err) < 0)
		return -1;
	if (date >= seen)
		return 0;
	return pv_error_set(err, PV_ERR_ARCHIVE,
			    "%s %s is older than what was seen before, by %lld minutes: a stale mirror or a "
			    "replay; use --allow-older for a snapshot", origin, suite,
			    (long long)((seen - date + 59) / 60));
}

int pv_freshness_update(const char *cache_dir, const char *origin, const char *suite, int64_t date,
			struct pv_error *err)
{
	pv_autofree char *path = record_path(cache_dir, origin, suite);
	pv_autofree char *dir = pv_path_join(cache_dir, "freshness");
	pv_autofree char *lock_path = pv_path_join(dir, ".lock");
	pv_autofree char *text = NULL;
	pv_autoclose int lock = -1;
	int64_t seen = 0;

	if (pv_mkdirs(dir, 0755, err) < 0 || pv_lock(lock_path, true, &lock, err) < 0 ||
	    read_record(path, &seen, err) < 0)
		return -1;
	if (date <= seen)
		return 0;
	text = pv_fmt("%lld\n", (long long)date);
	return pv_write_file(path, text, strlen(text), 0644, err);
}
