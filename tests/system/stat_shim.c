/*
 * Preloaded into the balancer by test_watch.py: as long as the FIFO exists that STAT_SHIM_FIFO names,
 * stat(2) of the file that STAT_SHIM_FILE names waits until somebody has opened the FIFO to write and
 * closed it again, as it would wait for a dead disk. Any thread; no state.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
stat(const char *restrict path, struct stat *restrict st)
{
	const char *file = getenv("STAT_SHIM_FILE"), *fifo = getenv("STAT_SHIM_FIFO");
	if (!file || !fifo)
		_exit(99);
	int fd = strcmp(path, file) == 0 ? open(fifo, O_RDONLY | O_CLOEXEC) : -1;
	char byte;
	while (fd >= 0 && read(fd, &byte, 1) > 0)
		;
	if (fd >= 0)
		close(fd);
	return fstatat(AT_FDCWD, path, st, 0);
}
