/* SPDX-License-Identifier: Apache-2.0 */
/* Geometry by the specification's appendix, and what a written VHD says of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vhd.h"

#define GIB (UINT64_C(1) << 30)

static void geometry(void **state)
{
	static const struct {
		uint64_t size;
		uint16_t c;
		uint8_t h, s;
	} rows[] = {
		{ 1 * GIB, 2080, 16, 63 },   { 2 * GIB, 4161, 16, 63 },	  { 4 * GIB, 8322, 16, 63 },
		{ 10 * GIB, 20805, 16, 63 }, { 20 * GIB, 41610, 16, 63 }, { 40 * GIB, 20560, 16, 255 },
		{ 2040 * GIB, 65535, 16, 255 },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		uint16_t c;
		uint8_t h, s;

		pv_vhd_geometry(rows[i].size, &c, &h, &s);
		assert_int_equal(c, rows[i].c);
		assert_int_equal(h, rows[i].h);
		assert_int_equal(s, rows[i].s);
	}
}

/* The last block of the largest disk must still have a sector number. */
static void largest(void **state)
{
	static const uint8_t uuid[16] = { 1 };
	struct pv_vhd_writer w;
	uint64_t at = 0;

	(void)state;
	assert_int_equal(pv_vhd_writer_init(PV_VHD_MAX, uuid, 0, &w, NULL), 0);
	for (uint32_t i = 0; i < w.nbat; i++)
		at = pv_vhd_add_block(&w, i);
	assert_true((at + PV_VHD_PREFIX) / PV_VHD_SECTOR - 1 < PV_VHD_UNUSED);
	assert_int_equal(w.bat[w.nbat - 1], (at + PV_VHD_PREFIX) / PV_VHD_SECTOR - 1);
	/* data begins on a page */
	assert_int_equal((at + PV_VHD_PREFIX) % 4096, 0);
	pv_vhd_writer_done(&w);
	assert_int_equal(pv_vhd_writer_init(PV_VHD_MAX + PV_VHD_SECTOR, uuid, 0, &w, NULL), -1);
	assert_int_equal(pv_vhd_writer_init(1000, uuid, 0, &w, NULL), -1);
}

/* From blktap's libvhd and the specification: fields that importers look at. */
static void head(void **state)
{
	static const uint8_t uuid[16] = { 0xab, 0xcd };
	struct pv_vhd_writer w;
	uint8_t footer[PV_VHD_SECTOR];

	(void)state;
	assert_int_equal(pv_vhd_writer_init(4 * GIB, uuid, 946684800 + 77, &w, NULL), 0);
	(void)pv_vhd_add_block(&w, 5);
	uint8_t *h = calloc(1, w.head_len);
	assert_non_null(h);
	pv_vhd_head(&w, h);
	(void)pv_vhd_end(&w, footer);
	assert_memory_equal(h, footer, sizeof(footer));
	assert_memory_equal(h, "conectix\0\0\0\2\0\1\0\0\0\0\0\0\0\0\2\0\0\0\0\115tap\0\0\1\0\3Wi2k", 40);
	assert_memory_equal(h + 60, "\0\0\0\3", 4);
	assert_memory_equal(h + 68, uuid, 16);
	assert_memory_equal(h + 512, "cxsparse\377\377\377\377\377\377\377\377\0\0\0\0\0\0\6\0\0\1\0\0\0\0\10\0\0\40\0\0", 36);
	/* 2048 entries of 4 bytes from 1536 on, then the batmap */
	assert_memory_equal(h + 1536 + 4 * 4, "\377\377\377\377", 4);
	assert_memory_not_equal(h + 1536 + 5 * 4, "\377\377\377\377", 4);
	assert_memory_equal(h + 1536 + 8192, "tdbatmap\0\0\0\0\0\0\50\0\0\0\0\1\0\1\0\2\377\377\377\373", 28);
	assert_int_equal(h[1536 + 8192 + 512], 0x80 >> 5);
	free(h);
	pv_vhd_writer_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(geometry),
		cmocka_unit_test(largest),
		cmocka_unit_test(head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
