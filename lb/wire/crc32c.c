/*
 * CRC32C by half bytes: a table of 16 entries is enough for a header. No state; any thread.
 */
#include "lb/wire/crc32c.h"

/* The remainders of 0 to 15, for the reflected polynomial 0x82F63B78. */
static const uint32_t remainders[16] = {
	0x00000000,
	0x105EC76F,
	0x20BD8EDE,
	0x30E349B1,
	0x417B1DBC,
	0x5125DAD3,
	0x61C69362,
	0x7198540D,
	0x82F63B78,
	0x92A8FC17,
	0xA24BB5A6,
	0xB21572C9,
	0xC38D26C4,
	0xD3D3E1AB,
	0xE330A81A,
	0xF36E6F75,
};

uint32_t
crc32c_add(uint32_t running, uint8_t byte)
{
	running ^= byte;
	running = remainders[running & 15] ^ running >> 4;
	return remainders[running & 15] ^ running >> 4;
}

uint32_t
crc32c_end(uint32_t running)
{
	return ~running;
}
