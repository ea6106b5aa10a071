/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the frames of a guest's report and unpacks it: base64, gzip, lines of name=value, all of it bounded. */
#include "frames.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "text.h"

#define MARK "PVIMG "
#define PACKED_MAX PV_FRAMES_TEXT_MAX	/* base64 characters in all frames */
#define NAME_MAX_LEN 128u

struct pv_frames {
	char *head;			/* "PVIMG NONCE " */
	char **payload;			/* count of them; NULL: not here yet */
	size_t count, have;		/* count 0: no good frame yet */
	size_t packed;			/* characters in all payloads */
};

struct pv_frames *pv_frames_new(const char *nonce)
{
	struct pv_frames *f = pv_xcalloc(1, sizeof(*f));

	f->head = pv_fmt(MARK "%s ", nonce);
	return f;
}

void pv_frames_free(struct pv_frames *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++)
		free(f->payload[i]);
	free(f->payload);
	free(f->head);
	free(f);
}

void pv_frames_freep(struct pv_frames **f)
{
	pv_frames_free(*f);
	*f = NULL;
}

/* POSIX cksum: CRC-32 with the polynomial 0x04c11db7, most significant bit first, the length behind the data. */
static uint32_t cksum_byte(uint32_t crc, unsigned byte)
{
	crc ^= (uint32_t)byte << 24;
	for (int bit = 0; bit < 8; bit++)
		crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
	return crc;
}

static uint32_t cksum(const char *text)
{
	size_t len = strlen(text);
	uint32_t crc = 0;

	for (const char *p = text; *p; p++)
		crc = cksum_byte(crc, (unsigned char)*p);
	for (; len > 0; len >>= 8)
		crc = cksum_byte(crc, len & 0xff);
	return ~crc;
}

/* The next word, up to a blank, a control character or the end. The caller frees. */
static char *word(const char **text)
{
	size_t n = 0;

	while ((unsigned char)(*text)[n] > ' ')
		n++;
	char *ret = pv_xstrndup(*text, n);
	*text += n;
	if (**text == ' ')
		(*text)++;
	return ret;
}

static bool take_frame(struct pv_frames *f, const char *text)
{
	pv_autofree char *index_word = word(&text);
	pv_autofree char *count_word = word(&text);
	pv_autofree char *sum_word = word(&text);
	pv_autofree char *payload = word(&text);
	pv_autofree char *summed = pv_fmt("%s %s %s", index_word, count_word, payload);
	uint64_t index, count, sum;

	if (pv_parse_u64(count_word, 1, PV_FRAMES_MAX, &count) < 0 ||
	    pv_parse_u64(index_word, 0, count - 1, &index) < 0 ||
	    pv_parse_u64(sum_word, 0, UINT32_MAX, &sum) < 0 || sum != cksum(summed))
		return false;
	if (f->count == 0) {
		f->count = count;
		f->payload = pv_xcalloc(count, sizeof(*f->payload));
	}
	size_t len = strlen(payload);
	if (count != f->count || f->payload[index] || len > PACKED_MAX - f->packed)
		return false;
	f->packed += len;
	f->have++;
	f->payload[index] = pv_steal(&payload);
	return true;
}

bool pv_frames_line(struct pv_frames *f, const char *line)
{
	const char *at = strstr(line, f->head);

	if (!at)
		return false;
	/* a damaged frame comes again: nothing to be done about it */
	(void)take_frame(f, at + strlen(f->head));
	return true;
}

bool pv_frames_complete(const struct pv_frames *f)
{
	return f->count > 0 && f->have == f->count;
}

/* --- unpacking --- */

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict: whole groups, padding at the end only, no bits left over. */
static int base64(const char *text, struct pv_str *ret)
{
	size_t len = strlen(text), pad = 0;

	if (len == 0 || len % 4)
		return -1;
	while (pad < 2 && text[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len; i += 4) {
		size_t have = i + 4 == len ? 4 - pad : 4;
		uint32_t bits = 0;
		for (size_t k = 0; k < 4; k++) {
			int d = k < have ? digit(text[i + k]) : 0;
			if (d < 0)
				return -1;
			bits = bits << 6 | (uint32_t)d;
		}
		if (bits & ((1u << 8 * (4 - have)) - 1))
			return -1;
		for (size_t k = 0; k + 1 < have; k++)
			pv_str_addc(ret, (char)(bits >> (16 - 8 * k) & 0xff));
	}
	return 0;
}

/* One gzip member and nothing behind it. */
static int gunzip(const struct pv_str *packed, char **ret, size_t *ret_len)
{
	z_stream z = { .next_in = (Bytef *)packed->data, .avail_in = (uInt)packed->len };
	pv_autofree char *out = pv_xmalloc(PV_FRAMES_TEXT_MAX + 1);

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -1;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)PV_FRAMES_TEXT_MAX;
	int rc = inflate(&z, Z_FINISH);
	size_t len = PV_FRAMES_TEXT_MAX - z.avail_out;
	bool whole = rc == Z_STREAM_END && z.avail_in == 0;
	(void)inflateEnd(&z);
	if (!whole || memchr(out, '\0', len))
		return -1;
	out[len] = '\0';
	*ret = pv_steal(&out);
	*ret_len = len;
	return 0;
}

static bool good_name(const char *name, size_t len)
{
	if (len < 1 || len > NAME_MAX_LEN || !islower((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_.@-", name[i]))
			return false;
	return true;
}

static int take_lines(const char *text, struct pv_vars *ret, struct pv_error *err)
{
	size_t lines = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");
		const char *equals = memchr(text, '=', len);
		if (!equals || !good_name(text, (size_t)(equals - text)) || ++lines > PV_FRAMES_NAMES_MAX) {
			pv_autofree char *shown = pv_printable(text, len < 80 ? len : 80);
			return pv_error_set(err, PV_ERR_STAGE, "line %zu is no name=value: %s", lines + 1, shown);
		}
		pv_autofree char *name = pv_xstrndup(text, (size_t)(equals - text));
		pv_autofree char *value = pv_printable(equals + 1, len - (size_t)(equals + 1 - text));
		pv_vars_set(ret, name, value);
		text += len;
		text += *text == '\n';
	}
	return lines > 0 ? 0 : pv_error_set(err, PV_ERR_STAGE, "it is empty");
}

int pv_frames_report(const struct pv_frames *f, struct pv_vars *ret, struct pv_error *err)
{
	pv_autostr joined = PV_STR_INIT;
	pv_autostr packed = PV_STR_INIT;
	pv_autofree char *text = NULL;
	struct pv_vars vars = { 0 };
	size_t len;

	if (!pv_frames_complete(f))
		return pv_error_set(err, PV_ERR_STAGE, "the guest's report: %zu of %zu frames came", f->have, f->count);
	for (size_t i = 0; i < f->count; i++)
		pv_str_add(&joined, f->payload[i]);
	if (base64(pv_str_text(&joined), &packed) < 0)
		return pv_error_set(err, PV_ERR_STAGE, "the guest's report: no base64 text");
	if (gunzip(&packed, &text, &len) < 0)
		return pv_error_set(err, PV_ERR_STAGE, "the guest's report: no gzip of at most %zu bytes of text",
				    PV_FRAMES_TEXT_MAX);
	if (take_lines(text, &vars, err) < 0) {
		pv_vars_done(&vars);
		return pv_error_wrap(err, "the guest's report");
	}
	for (size_t i = 0; i < vars.n; i++)
		pv_vars_set(ret, vars.v[i].name, vars.v[i].value);
	pv_vars_done(&vars);
	return 0;
}
