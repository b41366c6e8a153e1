/*
 * Whole lists through the acl, from the files on the disk to the verdict, against a naive oracle:
 * random lists and tables that include one another, each address asked.
 */
#include "tests/unit/unit.h"

#include "acl/acl.h"
#include "tests/unit/list_oracle.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	FILES = 4,
	ITEMS_MAX = 6,
	ENTRIES_MAX = 2048, /* with all that is included, again and again */
	ROUNDS = 1000,
};

/* A prefix, or an include where target is not 0: the first file is included by none. */
struct item {
	struct prefix prefix;
	enum says says; /* in a table */
	bool negated;   /* in a list */
	unsigned target;
	unsigned line;
};

struct file {
	char path[64];
	bool is_table;
	struct item items[ITEMS_MAX];
	size_t count;
};

struct scene {
	struct base base;
	struct file files[FILES];
	enum acl_action action;
	bool is_bad; /* a ! in what is denied already, or an OK */
	struct entry entries[ENTRIES_MAX];
	size_t count;
};

static char folder[] = "/tmp/smtplb-test-XXXXXX";

static void
make_file(struct scene *scene, unsigned number, uint64_t *state, unsigned odds)
{
	struct file *file = &scene->files[number];
	snprintf(file->path, sizeof(file->path), "%s/%u", folder, number);
	file->is_table = random_below(state, 3) == 0;
	file->count = 1 + random_below(state, ITEMS_MAX);
	unsigned line = 1;
	for (size_t i = 0; i < file->count; i++) {
		struct item *item = &file->items[i];
		item->prefix = random_prefix(state, &scene->base);
		item->negated = random_below(state, odds) == 0;
		item->says = item->negated ? DENY : (enum says)(random_below(state, 4) / 3 * DUNNO);
		item->target = 0;
		if (!file->is_table && number + 1 < FILES && random_below(state, 4) == 0)
			item->target = number + 1 + random_below(state, FILES - 1 - number);
		line += random_below(state, 3);
		item->line = line;
		line += file->is_table;
	}
}

static void
write_item(FILE *out, const struct scene *scene, const struct file *file, const struct item *item)
{
	static const char *const actions[] = {"OK", "REJECT", "DUNNO"};
	char text[ADDR_TEXT_MAX];
	if (item->negated && !file->is_table)
		fputc('!', out);
	if (item->target)
		fprintf(out, "%s%s", scene->files[item->target].is_table ? "cidr:" : "",
			scene->files[item->target].path);
	else
		fprintf(out, "[%s]/%u", addr_format(&item->prefix.addr, text), item->prefix.len);
	fprintf(out, "%s", file->is_table ? " " : "");
	if (file->is_table)
		fputs(actions[item->says], out);
}

static void
write_file(const struct scene *scene, const struct file *file)
{
	FILE *out = fopen(file->path, "w");
	ck_assert_ptr_nonnull(out);
	unsigned line = 1;
	for (size_t i = 0; i < file->count; i++) {
		for (; line < file->items[i].line; line++)
			fputc('\n', out);
		if (i && !file->is_table)
			fputc(' ', out);
		write_item(out, scene, file, &file->items[i]);
	}
	fclose(out);
}

/* What the file says, includes in their place. */
static void
flatten(struct scene *scene, unsigned number, enum acl_action action, bool is_included)
{
	const struct file *file = &scene->files[number];
	for (size_t i = 0; i < file->count; i++) {
		const struct item *item = &file->items[i];
		struct entry entry = {.prefix = item->prefix,
			.says = item->says,
			.file = number,
			.line = item->line};
		enum acl_action own = item->negated ? ACL_DENY : action;
		bool turns = file->is_table ? item->says == ALLOW : item->negated;
		scene->is_bad |= turns && action == ACL_DENY;
		if (item->target)
			flatten(scene, item->target, own, true);
		if (item->target || (file->is_table && item->says == DUNNO && is_included))
			continue;
		if (!file->is_table)
			entry.says = own == ACL_ALLOW ? ALLOW : DENY;
		ck_assert_uint_lt(scene->count, ENTRIES_MAX);
		scene->entries[scene->count++] = entry;
	}
}

static void
make_scene(struct scene *scene, uint64_t *state)
{
	*scene = (struct scene){.base = random_base(state)};
	scene->action = random_below(state, 4) ? ACL_ALLOW : ACL_DENY;
	unsigned odds = scene->action == ACL_ALLOW ? 4 : 100;
	for (unsigned i = 0; i < FILES; i++)
		make_file(scene, i, state, odds);
	for (unsigned i = 0; i < FILES; i++)
		write_file(scene, &scene->files[i]);
	flatten(scene, 0, scene->action, false);
}

static void
check_verdict(const struct scene *scene, const struct acl *acl, const struct addr *addr,
	const struct entry *best, uint64_t seed)
{
	char text[ADDR_TEXT_MAX];
	char said[256];
	char expected[256] = "default";
	char prefix[PREFIX_TEXT_MAX];
	struct verdict verdict = acl_decide(acl, addr);
	if (best)
		snprintf(expected, sizeof(expected), "%s:%u %s %s", scene->files[best->file].path,
			best->line, best->says == ALLOW ? "allow" : "deny",
			prefix_format(&best->prefix, prefix));
	verdict_format(&verdict, said, sizeof(said));
	ck_assert_msg(strcmp(said, expected) == 0, "seed %#lx: %s: %s, not %s", seed,
		addr_format(addr, text), said, expected);
	ck_assert(verdict.allowed == (!best || best->says == ALLOW));
}

static bool
warns_of_order(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (strstr(report->entries[i].text, " decides here, but in Postfix "))
			return true;
	return false;
}

static bool
check_addresses(const struct scene *scene, const struct acl *acl, uint64_t seed)
{
	bool differs = false;
	for (unsigned number = 0; number < 2 * ADDRESSES; number++) {
		struct addr addr = numbered_addr(&scene->base, number);
		struct look look = look_at(scene->entries, scene->count, &addr);
		check_verdict(scene, acl, &addr, look.best, seed);
		differs |= look_differs(&look);
	}
	return differs;
}

/* How often each came up, so that the test knows that it tests. */
static struct tally {
	unsigned bad;
	unsigned warned;
	unsigned quiet;
} tally;

static void
check_round(uint64_t seed)
{
	static struct scene scene;
	char item[80];
	struct report report;
	uint64_t state = seed;
	make_scene(&scene, &state);
	report_init(&report);
	snprintf(item, sizeof(item), "%s:%s", scene.files[0].is_table ? "cidr" : "file",
		scene.files[0].path);
	struct acl *acl = acl_new("test", "test", 1, true);
	acl_add_item(acl, scene.action, item, "test", 1, &report);
	int sealed = acl_seal(acl, &report);
	ck_assert_msg(sealed == (scene.is_bad ? -1 : 0), "seed %#lx: %s", seed,
		report.count ? report.entries[0].text : "no error");
	ck_assert(scene.is_bad == (report.errors > 0));
	if (sealed == 0) {
		bool differs = check_addresses(&scene, acl, seed);
		ck_assert_msg(warns_of_order(&report) == differs, "seed %#lx", seed);
		++*(differs ? &tally.warned : &tally.quiet);
	} else {
		tally.bad++;
	}
	acl_free(acl);
	report_fini(&report);
}

START_TEST(against_the_oracle)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (uint64_t seed = 0x5eed0000; seed < 0x5eed0000 + ROUNDS; seed++)
		check_round(seed);
	for (unsigned i = 0; i < FILES; i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%u", folder, i);
		unlink(path);
	}
	rmdir(folder);
	ck_assert_uint_gt(tally.bad, ROUNDS / 20);
	ck_assert_uint_gt(tally.warned, ROUNDS / 10);
	ck_assert_uint_gt(tally.quiet, ROUNDS / 10);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, against_the_oracle);
}

UNIT_MAIN("list_random", fill)
