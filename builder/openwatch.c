/* SPDX-License-Identifier: Apache-2.0 */
/* Watches files for being opened, by inotify. */
#include "openwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "fsutil.h"
#include "intree.h"

#define EVENTS (IN_ACCESS | IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MODIFY | IN_MOVE_SELF | IN_OPEN)

struct pv_openwatch {
	int fd;
	bool blind;			/* events were lost, or nothing could be watched: all count */
	int *wd;			/* one a path */
	size_t n;
};

static int watch_one(const struct pv_openwatch *w, const char *root, const char *path)
{
	const char *slash = strrchr(path, '/');
	pv_autofree char *parent = slash ? pv_xstrndup(path, (size_t)(slash - path)) : pv_xstrdup(".");
	pv_autoclose int dir = -1, fd = -1;

	if (pv_intree_open(root, parent, O_PATH | O_DIRECTORY, &dir, NULL) < 0)
		return -1;
	fd = openat(dir, slash ? slash + 1 : path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	pv_autofree char *name = pv_fmt("/proc/self/fd/%d", fd);
	return inotify_add_watch(w->fd, name, EVENTS);
}

struct pv_openwatch *pv_openwatch_begin(const char *root, const char *const *paths, size_t n)
{
	struct pv_openwatch *w = pv_xcalloc(1, sizeof(*w));

	w->n = n;
	w->wd = pv_xcalloc(n + 1, sizeof(*w->wd));
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->blind = w->fd < 0;
	for (size_t i = 0; i < n; i++)
		w->wd[i] = w->fd < 0 ? -1 : watch_one(w, root, paths[i]);
	return w;
}

static void take_event(struct pv_openwatch *w, const struct inotify_event *event, bool *opened)
{
	if (event->mask & IN_Q_OVERFLOW)
		w->blind = true;
	for (size_t i = 0; i < w->n; i++)
		if (w->wd[i] == event->wd)
			opened[i] = true;
}

static void take_events(struct pv_openwatch *w, bool *opened)
{
	_Alignas(struct inotify_event) char buffer[16384];
	ssize_t len;

	while ((len = read(w->fd, buffer, sizeof(buffer))) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0) {
			w->blind = w->blind || errno != EAGAIN;
			return;
		}
		for (ssize_t at = 0; at < len; ) {
			const struct inotify_event *event = (const struct inotify_event *)(const void *)(buffer + at);
			take_event(w, event, opened);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

void pv_openwatch_end(struct pv_openwatch *watch, bool *ret_opened)
{
	memset(ret_opened, 0, watch->n * sizeof(*ret_opened));
	if (!watch->blind)
		take_events(watch, ret_opened);
	for (size_t i = 0; i < watch->n; i++)
		ret_opened[i] = ret_opened[i] || watch->blind || watch->wd[i] < 0;
}

void pv_openwatch_free(struct pv_openwatch *watch)
{
	if (!watch)
		return;
	pv_closep(&watch->fd);
	free(watch->wd);
	free(watch);
}
