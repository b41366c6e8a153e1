/*
 * From the database's search tree to a table: a walk over every node that an address can reach,
 * with each record decoded once. In a child process; all memory is freed at the end of the call.
 */
#include "acl/mmdb.h"

#include "acl/mem.h"
#include "acl/trial.h"

#include <assert.h>
#include <errno.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)GEO_WHY_MAX == (int)TRIAL_WHY_MAX, "one text for both");

enum {
	BITS_MAX = 128,
	V4_DEPTH = 96,    /* where IPv4 begins in a tree of IPv6: behind as many zeros */
	SEPARATOR = 16,   /* bytes between the tree and the data */
	UNSEEN = 0,       /* no height yet */
	OPEN = 255,       /* on the way from the root to where the walk is */
	SLOTS_FIRST = 64, /* a power of two, as it stays */
	TYPE_SHOWN = 60,
};

/* A record by its offset in the data: the index of its value. */
struct slot {
	uint32_t offset;
	uint32_t index; /* 0: the slot is free */
};

struct step {
	uint32_t node;
	unsigned side; /* the one to look at next; 2: both are done */
};

struct reader {
	enum geo_kind kind;
	MMDB_s db;
	bool opened;
	unsigned bits; /* of an address in the tree */
	struct geo_node *nodes;
	uint8_t *heights; /* the longest way down from a node, itself counted */
	struct step steps[BITS_MAX];
	unsigned level; /* how many steps */
	uint32_t *values;
	size_t value_count;
	size_t value_capacity;
	struct slot *slots;
	size_t slot_count;
	bool found; /* a value other than GEO_NONE */
	char *why;
};

const char *
mmdb_version(void)
{
	return MMDB_lib_version();
}

__attribute__((format(printf, 2, 3))) static int
fail(struct reader *reader, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(reader->why, GEO_WHY_MAX, format, args);
	va_end(args);
	return -1;
}

static int
fail_broken(struct reader *reader, const char *what)
{
	return fail(reader, "is broken (%s); get it anew", what);
}

/* Records. */

static struct slot *
find_slot(struct slot *slots, size_t count, uint32_t offset)
{
	size_t i = offset * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (count - 1);
	while (slots[i].index && slots[i].offset != offset)
		i = (i + 1) & (count - 1);
	return &slots[i];
}

static void
remember(struct reader *reader, uint32_t offset, uint32_t index)
{
	if (reader->value_count * 2 > reader->slot_count) {
		size_t count = reader->slot_count * 2;
		struct slot *slots = mem_new(count, sizeof(*slots));
		for (size_t i = 0; i < reader->slot_count; i++)
			if (reader->slots[i].index)
				*find_slot(slots, count, reader->slots[i].offset) =
					reader->slots[i];
		free(reader->slots);
		reader->slots = slots;
		reader->slot_count = count;
	}
	*find_slot(reader->slots, reader->slot_count, offset) =
		(struct slot){.offset = offset, .index = index};
}

static uint32_t
add_value(struct reader *reader, uint32_t value)
{
	if (reader->value_count == reader->value_capacity)
		reader->values =
			mem_grow(reader->values, &reader->value_capacity, sizeof(*reader->values));
	reader->values[reader->value_count] = value;
	reader->found |= value != GEO_NONE;
	return (uint32_t)reader->value_count++;
}

/* Some databases write - where they know no country: whatever is no code names none. */
static int
read_country(struct reader *reader, const MMDB_entry_data_s *data, uint32_t *value)
{
	if (data->type != MMDB_DATA_TYPE_UTF8_STRING)
		return fail_broken(reader, "a country.iso_code that is no text");
	char code[3] = "";
	if (data->data_size == 2)
		memcpy(code, data->utf8_string, 2);
	char why[GEO_WHY_MAX];
	*value = GEO_NONE;
	geo_parse(GEO_COUNTRY, code, value, why);
	return 0;
}

static int
read_asn(struct reader *reader, const MMDB_entry_data_s *data, uint32_t *value)
{
	uint64_t number = UINT64_MAX;
	if (data->type == MMDB_DATA_TYPE_UINT32)
		number = data->uint32;
	else if (data->type == MMDB_DATA_TYPE_UINT16)
		number = data->uint16;
	else if (data->type == MMDB_DATA_TYPE_UINT64)
		number = data->uint64;
	if (number > UINT32_MAX)
		return fail_broken(reader, "an autonomous_system_number that is none");
	*value = (uint32_t)number;
	return 0;
}

static int
read_value(struct reader *reader, const MMDB_entry_s *entry, uint32_t *value)
{
	static const char *const country[] = {"country", "iso_code", NULL};
	static const char *const asn[] = {"autonomous_system_number", NULL};
	bool by_country = reader->kind == GEO_COUNTRY;
	MMDB_entry_s start = *entry;
	MMDB_entry_data_s data;
	*value = GEO_NONE;
	if (entry->offset >= reader->db.data_section_size)
		return fail_broken(reader, "a record outside of the data");
	int status = MMDB_aget_value(&start, &data, by_country ? country : asn);
	if (status == MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR)
		return 0;
	if (status != MMDB_SUCCESS)
		return fail_broken(reader, MMDB_strerror(status));
	return by_country ? read_country(reader, &data, value) : read_asn(reader, &data, value);
}

static int
link_record(struct reader *reader, const MMDB_entry_s *entry, uint32_t *link)
{
	const struct slot *known = find_slot(reader->slots, reader->slot_count, entry->offset);
	uint32_t index = known->index;
	if (!index) {
		uint32_t value;
		if (read_value(reader, entry, &value) < 0)
			return -1;
		index = add_value(reader, value);
		remember(reader, entry->offset, index);
	}
	*link = GEO_LEAF | index;
	return 0;
}

/* The tree. */

static int
link_side(struct reader *reader, uint64_t record, uint8_t type, const MMDB_entry_s *entry,
	uint32_t *link)
{
	switch (type) {
	case MMDB_RECORD_TYPE_SEARCH_NODE:
		*link = (uint32_t)record;
		return 0;
	case MMDB_RECORD_TYPE_EMPTY:
		*link = GEO_LEAF;
		return 0;
	case MMDB_RECORD_TYPE_DATA:
		return link_record(reader, entry, link);
	default:
		return fail_broken(reader, "a node that leads to nowhere");
	}
}

static int
enter(struct reader *reader, uint32_t number)
{
	/* As which it stays when it can't be read. */
	MMDB_search_node_s node = {.left_record_type = MMDB_RECORD_TYPE_INVALID};
	uint32_t *link = reader->nodes[number].link;
	if (reader->level == reader->bits)
		return fail_broken(reader, "its tree is deeper than an address has bits");
	MMDB_read_node(&reader->db, number, &node);
	if (link_side(reader, node.left_record, node.left_record_type, &node.left_record_entry,
		    &link[0]) < 0 ||
		link_side(reader, node.right_record, node.right_record_type,
			&node.right_record_entry, &link[1]) < 0)
		return -1;
	reader->heights[number] = OPEN;
	reader->steps[reader->level++] = (struct step){.node = number};
	return 0;
}

static uint8_t
link_height(const struct reader *reader, uint32_t link)
{
	return link & GEO_LEAF ? 0 : reader->heights[link];
}

static void
leave(struct reader *reader)
{
	uint32_t number = reader->steps[--reader->level].node;
	uint8_t left = link_height(reader, reader->nodes[number].link[0]);
	uint8_t right = link_height(reader, reader->nodes[number].link[1]);
	reader->heights[number] = (uint8_t)((left > right ? left : right) + 1);
}

/* Every node once: several ways may lead to one (IPv4 has four in a GeoLite2 database). */
static int
walk(struct reader *reader)
{
	if (enter(reader, 0) < 0)
		return -1;
	while (reader->level > 0) {
		struct step *step = &reader->steps[reader->level - 1];
		if (step->side == 2) {
			leave(reader);
			continue;
		}
		uint32_t link = reader->nodes[step->node].link[step->side++];
		if (link & GEO_LEAF)
			continue;
		uint8_t height = reader->heights[link];
		if (height == UNSEEN && enter(reader, link) < 0)
			return -1;
		if (height == OPEN)
			return fail_broken(reader, "its tree has a loop");
		if (height != UNSEEN && reader->level + height > reader->bits)
			return fail_broken(reader, "its tree is deeper than an address has bits");
	}
	return 0;
}

/* Opening and writing. */

static int
open_database(struct reader *reader, const char *path)
{
	int status = MMDB_open(path, MMDB_MODE_MMAP, &reader->db);
	if (status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR)
		return fail(reader, "can't be read: %s", strerror(errno));
	if (status == MMDB_INVALID_METADATA_ERROR)
		return fail(
			reader, "is no MMDB database, or is broken (%s)", MMDB_strerror(status));
	if (status != MMDB_SUCCESS)
		return fail_broken(reader, MMDB_strerror(status));
	reader->opened = true;
	const MMDB_metadata_s *metadata = &reader->db.metadata;
	/* The library's own sum of this overflows. (It has seen to it that there are nodes, and for
	 * IPv4 or IPv6.) */
	uint64_t size = (uint64_t)metadata->node_count * reader->db.full_record_byte_size;
	if (size + SEPARATOR > (uint64_t)reader->db.file_size)
		return fail_broken(reader, "its tree is larger than the file");
	reader->bits = metadata->ip_version == 6 ? BITS_MAX : BITS_MAX - V4_DEPTH;
	return 0;
}

static uint32_t
v4_root(const struct reader *reader)
{
	uint32_t link = 0;
	if (reader->bits == BITS_MAX)
		for (unsigned i = 0; i < V4_DEPTH && !(link & GEO_LEAF); i++)
			link = reader->nodes[link].link[0];
	return link;
}

static int
write_table(struct reader *reader, int out)
{
	struct mmdb_header header = {
		.node_count = reader->db.metadata.node_count,
		.value_count = (uint32_t)reader->value_count,
		.roots = {v4_root(reader), reader->bits == BITS_MAX ? 0 : GEO_LEAF},
	};
	if (trial_write(out, &header, sizeof(header)) < 0 ||
		trial_write(out, reader->nodes, header.node_count * sizeof(*reader->nodes)) < 0 ||
		trial_write(out, reader->values, header.value_count * sizeof(*reader->values)) < 0)
		return fail(reader, "can't be handed over: %s", strerror(errno));
	return 0;
}

static int
read_and_write(struct reader *reader, const char *path, int out)
{
	if (open_database(reader, path) < 0)
		return -1;
	reader->nodes = mem_new(reader->db.metadata.node_count, sizeof(*reader->nodes));
	reader->heights = mem_new(reader->db.metadata.node_count, 1);
	if (walk(reader) < 0)
		return -1;
	if (!reader->found)
		return fail(reader,
			"has no %s in any record, its type is %.*s; name a database such as %s",
			reader->kind == GEO_COUNTRY ? "country.iso_code"
						    : "autonomous_system_number",
			TYPE_SHOWN, reader->db.metadata.database_type,
			reader->kind == GEO_COUNTRY ? "GeoLite2-Country" : "GeoLite2-ASN");
	return write_table(reader, out);
}

int
mmdb_write(enum geo_kind kind, const char *path, int out, char why[GEO_WHY_MAX])
{
	struct reader reader = {
		.kind = kind,
		.why = why,
		.slots = mem_new(SLOTS_FIRST, sizeof(*reader.slots)),
		.slot_count = SLOTS_FIRST,
	};
	add_value(&reader, GEO_NONE);
	int result = read_and_write(&reader, path, out);
	if (reader.opened)
		MMDB_close(&reader.db);
	free(reader.nodes);
	free(reader.heights);
	free(reader.values);
	free(reader.slots);
	return result;
}
