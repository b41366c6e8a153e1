/*
 * A writer of MaxMind DB files (https://maxmind.github.io/MaxMind-DB/): a binary tree over the
 * addresses' bits, in memory until it is written.
 */
#include "bench/acl_mmdb.h"

#include "acl/mem.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a record of the tree under construction holds besides the number of a node. */
#define NOTHING UINT32_MAX
#define ALLOWED (UINT32_MAX - 1)
#define DENIED (UINT32_MAX - 2)

#define V4_DEPTH 96u /* IPv4 is ::/96 */

enum {
	DATA_SEPARATOR = 16,
	ALLOWED_OFFSET = 0, /* in the data section */
	DENIED_OFFSET = 5,
};

/* {"d": 0} and {"d": 1}, the numbers as uint16 */
static const uint8_t data_section[] = {0xe1, 0x41, 'd', 0xa1, 0, 0xe1, 0x41, 'd', 0xa1, 1};

struct tree {
	uint32_t (*nodes)[2];
	size_t count;
	size_t capacity;
};

static uint32_t
tree_node(struct tree *tree, uint32_t left, uint32_t right)
{
	if (tree->count == tree->capacity)
		tree->nodes = mem_grow(tree->nodes, &tree->capacity, sizeof(*tree->nodes));
	tree->nodes[tree->count][0] = left;
	tree->nodes[tree->count][1] = right;
	return (uint32_t)tree->count++;
}

static bool
is_node(uint32_t record)
{
	return record < DENIED;
}

static unsigned
address_bit(const struct addr *addr, unsigned bit)
{
	if (addr->family == ADDR_V4 && bit < V4_DEPTH)
		return 0;
	if (addr->family == ADDR_V4)
		bit -= V4_DEPTH;
	return addr->bytes[bit / 8] >> (7 - bit % 8) & 1;
}

/* Shorter prefixes come first: what is found on the way is a wider prefix, and is divided. */
static void
tree_add(struct tree *tree, const struct entry *entry)
{
	const struct addr *addr = &entry->prefix.addr;
	unsigned len = entry->prefix.len + (addr->family == ADDR_V4 ? V4_DEPTH : 0u);
	uint32_t node = 0;
	for (unsigned bit = 0; bit < len - 1; bit++) {
		uint32_t next = tree->nodes[node][address_bit(addr, bit)];
		if (!is_node(next)) {
			uint32_t fresh = tree_node(tree, next, next);
			tree->nodes[node][address_bit(addr, bit)] = fresh;
			next = fresh;
		}
		node = next;
	}
	tree->nodes[node][address_bit(addr, len - 1)] = entry->deny ? DENIED : ALLOWED;
}

static uint32_t
final_record(const struct tree *tree, uint32_t record)
{
	uint32_t data = (uint32_t)tree->count + DATA_SEPARATOR;
	switch (record) {
	case NOTHING:
		return (uint32_t)tree->count;
	case ALLOWED:
		return data + ALLOWED_OFFSET;
	case DENIED:
		return data + DENIED_OFFSET;
	default:
		return record;
	}
}

static void
put_string(FILE *file, const char *text)
{
	assert(strlen(text) < 29);
	fputc(0x40 | (int)strlen(text), file);
	fputs(text, file);
}

static void
put_number(FILE *file, const char *key, int control, const void *bytes, size_t size)
{
	put_string(file, key);
	fputc(control | (int)size, file);
	fwrite(bytes, 1, size, file);
}

static void
put_metadata(FILE *file, uint32_t node_count)
{
	uint32_t count = htonl(node_count);
	fputs("\xab\xcd\xefMaxMind.com", file);
	fputc(0xe0 | 9, file); /* a map of 9 */
	put_number(file, "node_count", 0xc0, &count, sizeof(count));
	put_number(file, "record_size", 0xa0, "\x20", 1);
	put_number(file, "ip_version", 0xa0, "\x06", 1);
	put_number(file, "binary_format_major_version", 0xa0, "\x02", 1);
	put_number(file, "binary_format_minor_version", 0xa0, "", 0);
	put_string(file, "database_type");
	put_string(file, "smtplb-bench");
	put_string(file, "build_epoch");
	fwrite("\x01\x02\x01", 1, 3, file); /* a uint64 of 1 byte */
	put_string(file, "languages");
	fwrite("\x00\x04", 1, 2, file); /* an array of none */
	put_string(file, "description");
	fputc(0xe0, file); /* a map of none */
}

static int
tree_write(const struct tree *tree, const char *path)
{
	FILE *file = fopen(path, "w");
	if (!file)
		return -1;
	for (size_t i = 0; i < tree->count; i++) {
		uint32_t records[2] = {htonl(final_record(tree, tree->nodes[i][0])),
			htonl(final_record(tree, tree->nodes[i][1]))};
		fwrite(records, sizeof(records), 1, file);
	}
	static const uint8_t separator[DATA_SEPARATOR];
	fwrite(separator, sizeof(separator), 1, file);
	fwrite(data_section, sizeof(data_section), 1, file);
	put_metadata(file, (uint32_t)tree->count);
	bool failed = ferror(file) != 0;
	return fclose(file) != 0 || failed ? -1 : 0;
}

int
mmdb_write(const char *path, const struct entry *entries, size_t count)
{
	struct tree tree = {.count = 0};
	tree_node(&tree, NOTHING, NOTHING);
	for (size_t i = count; i-- > 0;)
		tree_add(&tree, &entries[i]);
	int result = tree_write(&tree, path);
	free(tree.nodes);
	return result;
}
