/* SPDX-License-Identifier: Apache-2.0 */
/* Files of two root file systems, folder by folder, and of two ESPs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "imgdiff_priv.h"
#include "proc.h"

#define ESP_FILE_MAX ((size_t)64 << 20)

/* The two sides of one file. */
struct pair {
	const struct pv_imgdiff_run *run;
	const char *where, *path;
	struct pv_image_inode a, b;
};

static void note(const struct pair *p, enum pv_imgdiff_kind kind, char *first, char *second)
{
	pv_imgdiff_note(p->run->diff, kind, p->where, p->path, first, second);
}

static void note_numbers(const struct pair *p, enum pv_imgdiff_kind kind, const char *format, uint64_t first,
			 uint64_t second)
{
	char left[32], right[32];

	if (first == second)
		return;
	/* octal for modes, decimal for the rest */
	bool octal = pv_streq(format, "o");
	snprintf(left, sizeof(left), octal ? "%04llo" : "%llu", (unsigned long long)first);
	snprintf(right, sizeof(right), octal ? "%04llo" : "%llu", (unsigned long long)second);
	note(p, kind, pv_xstrdup(left), pv_xstrdup(right));
}

static bool same_time(struct pv_image_time a, struct pv_image_time b)
{
	return a.s == b.s && a.ns == b.ns;
}

static char *time_text(struct pv_image_time t)
{
	return t.ns ? pv_fmt("%lld.%09u", (long long)t.s, t.ns) : pv_fmt("%lld", (long long)t.s);
}

static void compare_times(const struct pair *p)
{
	const struct {
		const char *name;
		struct pv_image_time a, b;
	} times[] = {
		{ "accessed", p->a.atime, p->b.atime },
		{ "changed", p->a.ctime, p->b.ctime },
		{ "made", p->a.crtime, p->b.crtime },
	};

	if (!same_time(p->a.mtime, p->b.mtime))
		note(p, PV_IMGDIFF_MTIME, time_text(p->a.mtime), time_text(p->b.mtime));
	for (size_t i = 0; i < PV_COUNT(times); i++) {
		if (same_time(times[i].a, times[i].b))
			continue;
		pv_autofree char *a = time_text(times[i].a), *b = time_text(times[i].b);
		note(p, PV_IMGDIFF_TIMES, pv_fmt("%s %s", times[i].name, a), pv_fmt("%s %s", times[i].name, b));
	}
}

static void compare_xattrs(const struct pair *p)
{
	pv_autostrv a = PV_STRV_INIT, b = PV_STRV_INIT;
	size_t i = 0, k = 0;

	pv_image_xattrs(p->run->first, p->a.stat.inode, &a);
	pv_image_xattrs(p->run->second, p->b.stat.inode, &b);
	while (i < a.n || k < b.n) {
		int order = i == a.n ? 1 : k == b.n ? -1 : strcmp(a.v[i], b.v[k]);
		if (order != 0)
			note(p, PV_IMGDIFF_XATTR, pv_xstrdup(order < 0 ? a.v[i] : ""), pv_xstrdup(order > 0 ? b.v[k] : ""));
		i += order <= 0;
		k += order >= 0;
	}
}

static void note_content(const struct pair *p, uint64_t offset, uint64_t count, const uint8_t *a, size_t alen,
			 const uint8_t *b, size_t blen)
{
	struct pv_imgdiff_item *item = pv_imgdiff_add(p->run->diff, PV_IMGDIFF_CONTENT, p->where, p->path);

	if (!item)
		return;
	item->offset = (int64_t)offset;
	item->count = count;
	item->first = pv_imgdiff_hex(a, alen);
	item->second = pv_imgdiff_hex(b, blen);
}

/* Where two files differ first, and in how many bytes: what one has beyond the other's end counts too. */
struct first_bytes {
	uint64_t offset, count;
	uint8_t a[PV_IMGDIFF_SHOWN], b[PV_IMGDIFF_SHOWN];
	size_t alen, blen;
};

static void take_first(struct first_bytes *f, uint64_t offset, const uint8_t *a, size_t alen, const uint8_t *b,
		       size_t blen)
{
	f->offset = offset;
	f->alen = alen < sizeof(f->a) ? alen : sizeof(f->a);
	f->blen = blen < sizeof(f->b) ? blen : sizeof(f->b);
	memcpy(f->a, a, f->alen);
	memcpy(f->b, b, f->blen);
}

static int compare_data(const struct pair *p, struct pv_error *err)
{
	pv_autofree uint8_t *a = pv_xmalloc(PV_IMGDIFF_CHUNK), *b = pv_xmalloc(PV_IMGDIFF_CHUNK);
	uint64_t size_a = p->a.stat.size, size_b = p->b.stat.size, offset = 0;
	uint64_t both = size_a < size_b ? size_a : size_b;
	struct first_bytes found = { .count = 0 };

	for (; offset < both || offset == 0; offset += PV_IMGDIFF_CHUNK) {
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		ssize_t na = pv_image_inode_read(p->run->first, p->a.stat.inode, a, PV_IMGDIFF_CHUNK, offset);
		ssize_t nb = pv_image_inode_read(p->run->second, p->b.stat.inode, b, PV_IMGDIFF_CHUNK, offset);
		size_t len = na < 0 || nb < 0 ? 0 : (size_t)(na < nb ? na : nb), at = len;
		uint64_t count = pv_imgdiff_count(a, b, len, &at);
		if (found.count == 0 && (count || na != nb))
			take_first(&found, offset + at, a + at, na < 0 ? 0 : (size_t)na - at, b + at,
				   nb < 0 ? 0 : (size_t)nb - at);
		found.count += count + (na < 0 || nb < 0);
		if (na != nb || len == 0)	/* the end of one of them, or a damaged one */
			break;
	}
	found.count += size_a > size_b ? size_a - size_b : size_b - size_a;
	if (found.count)
		note_content(p, found.offset, found.count, found.a, found.alen, found.b, found.blen);
	return 0;
}

static void compare_links(const struct pair *p)
{
	pv_autofree char *a = pv_image_readlink(p->run->first, p->path), *b = pv_image_readlink(p->run->second, p->path);

	if (!pv_streq(a, b))
		note(p, PV_IMGDIFF_LINK, a ? pv_printable(a, strlen(a)) : NULL, b ? pv_printable(b, strlen(b)) : NULL);
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return "file";
	case S_IFDIR: return "folder";
	case S_IFLNK: return "link";
	case S_IFCHR: case S_IFBLK: return "device";
	case S_IFIFO: return "fifo";
	default: return "other";
	}
}

/* What only the bytes of the disk tell apart. */
static void compare_exactly(const struct pair *p)
{
	const struct pv_image_stat *a = &p->a.stat, *b = &p->b.stat;

	compare_times(p);
	note_numbers(p, PV_IMGDIFF_LINKS, "u", a->links, b->links);
	if (S_ISDIR(a->mode))
		note_numbers(p, PV_IMGDIFF_SIZE, "u", a->size, b->size);
	if (a->inode != b->inode || p->a.flags != p->b.flags || p->a.generation != p->b.generation)
		note(p, PV_IMGDIFF_INODE,
		     pv_fmt("number %u, flags 0x%x, generation %u", a->inode, p->a.flags, p->a.generation),
		     pv_fmt("number %u, flags 0x%x, generation %u", b->inode, p->b.flags, p->b.generation));
}

static int compare_pair(const struct pair *p, struct pv_error *err)
{
	const struct pv_image_stat *a = &p->a.stat, *b = &p->b.stat;

	if ((a->mode & S_IFMT) != (b->mode & S_IFMT)) {
		note(p, PV_IMGDIFF_TYPE, pv_xstrdup(type_name(a->mode)), pv_xstrdup(type_name(b->mode)));
		return 0;
	}
	note_numbers(p, PV_IMGDIFF_MODE, "o", a->mode & 07777, b->mode & 07777);
	if (a->uid != b->uid || a->gid != b->gid)
		note(p, PV_IMGDIFF_OWNER, pv_fmt("%u:%u", a->uid, a->gid), pv_fmt("%u:%u", b->uid, b->gid));
	note_numbers(p, PV_IMGDIFF_DEVICE, "u", p->a.device, p->b.device);
	compare_xattrs(p);
	if (S_ISLNK(a->mode))
		compare_links(p);
	if (S_ISREG(a->mode) && (a->size || b->size) && compare_data(p, err) < 0)
		return -1;
	if (p->run->options->exact)
		compare_exactly(p);
	return 0;
}

static bool count_one(void *ctx, const char *path, const struct pv_image_stat *st)
{
	(void)path, (void)st;
	(*(uint64_t *)ctx)++;
	return true;
}

static void note_single(const struct pv_imgdiff_run *run, const char *where, const char *path, bool is_first)
{
	const struct pv_image *image = is_first ? run->first : run->second;
	struct pv_image_stat st;
	struct pv_imgdiff_item *item = pv_imgdiff_add(run->diff, is_first ? PV_IMGDIFF_ONLY_FIRST : PV_IMGDIFF_ONLY_SECOND,
						      where, path);

	if (item && pv_image_stat(image, path, &st) && S_ISDIR(st.mode))
		pv_image_walk(image, path, count_one, &item->count);
}

struct walk {
	const struct pv_imgdiff_run *run;
	const char *where;
	size_t seen;
};

static int compare_folder(struct walk *walk, const char *path, unsigned depth, struct pv_error *err);

static int compare_path(struct walk *walk, const char *path, unsigned depth, struct pv_error *err)
{
	struct pair p = { .run = walk->run, .where = walk->where, .path = path };
	struct pv_image_stat a, b;

	if (++walk->seen > PV_IMAGE_WALK_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: more than %u files", pv_image_path(walk->run->first),
				    PV_IMAGE_WALK_MAX);
	if (!pv_image_stat(walk->run->first, path, &a) || !pv_image_inode(walk->run->first, a.inode, &p.a) ||
	    !pv_image_stat(walk->run->second, path, &b) || !pv_image_inode(walk->run->second, b.inode, &p.b)) {
		note(&p, PV_IMGDIFF_INODE, pv_xstrdup("cannot be read"), NULL);
		return 0;
	}
	if (compare_pair(&p, err) < 0)
		return -1;
	if (S_ISDIR(p.a.stat.mode) && S_ISDIR(p.b.stat.mode))
		return compare_folder(walk, path, depth + 1, err);
	return 0;
}

static int compare_folder(struct walk *walk, const char *path, unsigned depth, struct pv_error *err)
{
	pv_autostrv a = PV_STRV_INIT, b = PV_STRV_INIT;
	size_t i = 0, k = 0;

	if (depth > PV_IMAGE_WALK_DEPTH)
		return 0;
	pv_image_list(walk->run->first, path, &a);
	pv_image_list(walk->run->second, path, &b);
	while (i < a.n || k < b.n) {
		int order = i == a.n ? 1 : k == b.n ? -1 : strcmp(a.v[i], b.v[k]);
		pv_autofree char *full = pv_fmt("%s/%s", pv_streq(path, "/") ? "" : path, order <= 0 ? a.v[i] : b.v[k]);
		if (order != 0)
			note_single(walk->run, walk->where, full, order < 0);
		else if (compare_path(walk, full, depth, err) < 0)
			return -1;
		i += order <= 0;
		k += order >= 0;
	}
	return 0;
}

int pv_imgdiff_tree(const struct pv_imgdiff_run *run, struct pv_error *err)
{
	pv_autofree char *where = pv_fmt("partition %u (root)", pv_image_root(run->first)->number);
	struct walk walk = { run, where, 0 };

	return compare_path(&walk, "/", 0, err);
}

/* --- the ESP: FAT, read whole by mtools --- */

static void compare_esp_file(const struct pv_imgdiff_run *run, const char *where, const char *path)
{
	struct pair p = { .run = run, .where = where, .path = path };
	size_t na = 0, nb = 0;
	pv_autofree char *a = pv_image_esp_read(run->first, path, ESP_FILE_MAX, &na);
	pv_autofree char *b = pv_image_esp_read(run->second, path, ESP_FILE_MAX, &nb);
	const uint8_t *left = (const uint8_t *)(a ? a : ""), *right = (const uint8_t *)(b ? b : "");
	size_t len = na < nb ? na : nb, at = len;
	uint64_t count = pv_imgdiff_count(left, right, len, &at);

	if (count || na != nb)
		note_content(&p, at, count + (na > nb ? na - nb : nb - na), left + at, na - at, right + at, nb - at);
}

void pv_imgdiff_esp(const struct pv_imgdiff_run *run)
{
	pv_autostrv a = PV_STRV_INIT, b = PV_STRV_INIT;
	const char *where = "ESP";
	size_t i = 0, k = 0;

	pv_image_esp_list(run->first, &a);
	pv_image_esp_list(run->second, &b);
	while (i < a.n || k < b.n) {
		int order = i == a.n ? 1 : k == b.n ? -1 : strcmp(a.v[i], b.v[k]);
		if (order == 0)
			compare_esp_file(run, where, a.v[i]);
		else
			(void)pv_imgdiff_add(run->diff, order < 0 ? PV_IMGDIFF_ONLY_FIRST : PV_IMGDIFF_ONLY_SECOND, where,
					     order < 0 ? a.v[i] : b.v[k]);
		i += order <= 0;
		k += order >= 0;
	}
}
