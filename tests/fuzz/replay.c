/*
 * Runs a fuzz target over every file of a folder, as an ordinary test: what once was found stays
 * mended. Linked with one fuzz_*.c in the place of libFuzzer. An empty or missing folder fails.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay_file(const char *folder, const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		return -1;
	}
	static uint8_t read_buf[1 << 20];
	size_t len = fread(read_buf, 1, sizeof(read_buf), file);
	fclose(file);
	/* A copy of the exact size, so that a sanitizer sees any read past the end. */
	uint8_t *data = malloc(len ? len : 1);
	if (!data)
		return -1;
	memcpy(data, read_buf, len);
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 0;
}

int
main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	if (!folder) {
		fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
		return EXIT_FAILURE;
	}
	unsigned count = 0;
	struct dirent *entry;
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		if (replay_file(argv[1], entry->d_name) < 0)
			return EXIT_FAILURE;
		count++;
	}
	closedir(folder);
	printf("%s: %u inputs replayed\n", argv[1], count);
	return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
