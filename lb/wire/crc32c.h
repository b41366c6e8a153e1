/*
 * CRC32C (Castagnoli), the checksum of a version 2 PROXY header: RFC 4960 appendix B. Pure, taken a
 * byte at a time.
 */
#ifndef LB_WIRE_CRC32C_H
#define LB_WIRE_CRC32C_H

#include <stdint.h>

/* The running value begins here, ... */
#define CRC32C_BEGIN UINT32_C(0xFFFFFFFF)

/* ... goes over every byte in turn, ... */
uint32_t crc32c_add(uint32_t running, uint8_t byte);

/* ... and ends as the checksum, which goes onto the wire in network order. */
uint32_t crc32c_end(uint32_t running);

#endif
