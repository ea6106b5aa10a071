/* SPDX-License-Identifier: Apache-2.0 */
/* Any console as frames: no crash, names and values never hold what they must not. Text before the first line with "@" is
 * the console of a run whose nonce is "n"; what comes after it is put into one good frame, so that unpacking is reached. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t crc_byte(uint32_t crc, unsigned byte)
{
	for (crc ^= (uint32_t)byte << 24, byte = 0; byte < 8; byte++)
		crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
	return crc;
}

static uint32_t cksum(const char *text)
{
	uint32_t crc = 0;
	size_t len = strlen(text);

	for (const char *p = text; *p; p++)
		crc = crc_byte(crc, (unsigned char)*p);
	for (; len; len >>= 8)
		crc = crc_byte(crc, len & 0xff);
	return ~crc;
}

static void judge(const struct pv_frames *frames)
{
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_vars vars = { 0 };
	int rc = pv_frames_report(frames, &vars, &err);

	if ((rc < 0) != (err.text != NULL) || (rc < 0 && vars.n > 0) || (rc == 0 && !pv_frames_complete(frames)))
		abort();
	for (size_t i = 0; i < vars.n; i++) {
		if (vars.v[i].name[0] < 'a' || vars.v[i].name[0] > 'z' || strpbrk(vars.v[i].name, "= \n"))
			abort();
		for (const char *p = vars.v[i].value; *p; p++)
			if ((unsigned char)*p < 0x20)
				abort();
	}
	pv_vars_done(&vars);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autoframes *frames = pv_frames_new("n");
	pv_autoframes *good = pv_frames_new("n");
	pv_autofree char *text = pv_xstrndup((const char *)data, size);
	char *rest = strstr(text, "@");

	if (rest)
		*rest++ = '\0';
	for (char *line = text, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		(void)pv_frames_line(frames, line);
	}
	judge(frames);
	if (rest) {
		rest[strcspn(rest, " \n")] = '\0';
		pv_autofree char *body = pv_fmt("0 1 %s", rest);
		pv_autofree char *frame = pv_fmt("PVIMG n 0 1 %u %s", cksum(body), rest);
		if (!pv_frames_line(good, frame))
			abort();
		judge(good);
	}
	return 0;
}
