/* SPDX-License-Identifier: Apache-2.0 */
/* What writer and reader of VHDs share: where things are. */
#ifndef PV_VHD_PRIV_H
#define PV_VHD_PRIV_H

#include <stddef.h>
#include <stdint.h>

/* In the footer. */
enum {
	PV_VHD_F_FEATURES = 8, PV_VHD_F_VERSION = 12, PV_VHD_F_HEADER = 16, PV_VHD_F_TIME = 24, PV_VHD_F_CREATOR = 28,
	PV_VHD_F_CREATOR_VERSION = 32, PV_VHD_F_HOST = 36, PV_VHD_F_ORIGINAL = 40, PV_VHD_F_SIZE = 48,
	PV_VHD_F_CHS = 56, PV_VHD_F_TYPE = 60, PV_VHD_F_CHECKSUM = 64, PV_VHD_F_UUID = 68, PV_VHD_F_SAVED = 84,
	PV_VHD_F_HIDDEN = 85, PV_VHD_FOOTER_LEN = 512,
};
/* In the header of a dynamic one. */
enum {
	PV_VHD_H_NEXT = 8, PV_VHD_H_BAT = 16, PV_VHD_H_VERSION = 24, PV_VHD_H_ENTRIES = 28, PV_VHD_H_BLOCK = 32,
	PV_VHD_H_CHECKSUM = 36, PV_VHD_HEADER_LEN = 1024,
};
/* In the batmap's header (libvhd's extension: a bit a block, highest first; set: the block's bitmap is all ones). */
enum {
	PV_VHD_M_OFFSET = 8, PV_VHD_M_SECTORS = 16, PV_VHD_M_VERSION = 20, PV_VHD_M_CHECKSUM = 24,
};
#define PV_VHD_FOOTER_COOKIE "conectix"
#define PV_VHD_HEADER_COOKIE "cxsparse"
#define PV_VHD_BATMAP_COOKIE "tdbatmap"
#define PV_VHD_FORMAT_VERSION 0x00010000u
#define PV_VHD_BATMAP_VERSION 0x00010002u
#define PV_VHD_EPOCH INT64_C(946684800)		/* 2000-01-01 00:00 UTC */

/* Ones' complement of the sum of bytes, the four at `skip` taken as 0 (skip >= len: none). */
uint32_t pv_vhd_checksum(const uint8_t *data, size_t len, size_t skip);
size_t pv_vhd_sectors_up(size_t bytes);		/* bytes, rounded up to whole sectors */

#endif
