/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of file formats: numbers in their order, zeros. */
#ifndef PV_BYTES_H
#define PV_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool pv_all_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static inline uint16_t pv_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t pv_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t pv_be64(const uint8_t *p)
{
	return (uint64_t)pv_be32(p) << 32 | pv_be32(p + 4);
}

static inline uint32_t pv_le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline void pv_put_be16(uint8_t *p, uint16_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static inline void pv_put_be32(uint8_t *p, uint32_t n)
{
	pv_put_be16(p, (uint16_t)(n >> 16));
	pv_put_be16(p + 2, (uint16_t)n);
}

static inline void pv_put_be64(uint8_t *p, uint64_t n)
{
	pv_put_be32(p, (uint32_t)(n >> 32));
	pv_put_be32(p + 4, (uint32_t)n);
}

static inline void pv_put_le32(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)n;
	p[1] = (uint8_t)(n >> 8);
	p[2] = (uint8_t)(n >> 16);
	p[3] = (uint8_t)(n >> 24);
}

#endif
