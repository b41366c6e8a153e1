/*
 * The way to a syslog daemon, played by a socket of the test: form and priority, a daemon that does
 * not read, that is not there, that is started anew.
 */
#include "lb/log_syslog.h"

#include "tests/unit/faults.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/test_log_syslog.XXXXXX";
static char path[64];
static struct log_syslog syslog;

static const char line[] = "ts=0 level=info event=test\n";

static int
listen_there(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	log_syslog_init(&syslog, path);
}

static void
end(void)
{
	log_syslog_fini(&syslog);
	unlink(path);
	rmdir(folder);
}

static int
send_line(enum log_level level)
{
	return log_syslog_send(&syslog, level, line, sizeof(line) - 1);
}

/* The next datagram as a string. */
static const char *
receive(int fd)
{
	static char text[4096];
	ssize_t len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	ck_assert_int_gt(len, 0);
	text[len] = '\0';
	return text;
}

static const struct {
	enum log_level level;
	unsigned priority;
} levels[] = {
	{LOG_LEVEL_ERROR, 19},
	{LOG_LEVEL_WARNING, 20},
	{LOG_LEVEL_INFO, 22},
	{LOG_LEVEL_DEBUG, 23},
};

START_TEST(form)
{
	int fd = listen_there(), pid, end_at = 0;
	unsigned priority, day, hour, minute, second;
	char month[4];
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	time_t before = time(NULL);
	ck_assert_int_eq(send_line(levels[_i].level), 1);
	const char *text = receive(fd);
	ck_assert_int_eq(sscanf(text, "<%u>%3[A-Za-z] %2u %2u:%2u:%2u smtplb[%d]: %n", &priority,
				 month, &day, &hour, &minute, &second, &pid, &end_at),
		7);
	ck_assert_uint_eq(priority, levels[_i].priority);
	ck_assert_int_eq(pid, getpid());
	ck_assert_str_eq(text + end_at, "ts=0 level=info event=test"); /* and no newline */
	/* Local time, now. */
	char again[32], early[32], late[32];
	time_t after = time(NULL);
	struct tm local;
	snprintf(again, sizeof(again), "%s %2u %02u:%02u:%02u", month, day, hour, minute, second);
	strftime(early, sizeof(early), "%b %e %H:%M:%S", localtime_r(&before, &local));
	strftime(late, sizeof(late), "%b %e %H:%M:%S", localtime_r(&after, &local));
	ck_assert(strcmp(again, early) == 0 || strcmp(again, late) == 0);
	close(fd);
}
END_TEST

START_TEST(blocked)
{
	int fd = listen_there(), sent = 0, result;
	while ((result = send_line(LOG_LEVEL_INFO)) == 1)
		sent++;
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(send_line(LOG_LEVEL_INFO), 0);
	for (int i = 0; i < sent; i++)
		receive(fd);
	ck_assert_int_eq(send_line(LOG_LEVEL_INFO), 1);
	receive(fd);
	close(fd);
}
END_TEST

START_TEST(gone_and_back)
{
	ck_assert_int_eq(send_line(LOG_LEVEL_INFO), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(syslog.fd, -1);
	int fd = listen_there();
	ck_assert_int_eq(send_line(LOG_LEVEL_INFO), 1);
	receive(fd);
	close(fd);
	ck_assert_int_eq(send_line(LOG_LEVEL_INFO), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	/* Started anew between two lines: none is lost. */
	for (int i = 0; i < 3; i++) {
		fd = listen_there();
		ck_assert_int_eq(send_line(LOG_LEVEL_INFO), 1);
		receive(fd);
		close(fd);
	}
}
END_TEST

static const struct {
	const char *call;
	int error;
} faults_at_once[] = {
	{"socket", EMFILE},
	{"connect", EACCES},
};

START_TEST(no_way_there)
{
	int fd = listen_there();
	fault_order(faults_at_once[_i].call, faults_at_once[_i].error, 1, 1);
	ck_assert_int_eq(send_line(LOG_LEVEL_INFO), -1);
	ck_assert_int_eq(errno, faults_at_once[_i].error);
	ck_assert_int_eq(syslog.fd, -1);
	ck_assert_int_eq(send_line(LOG_LEVEL_INFO), 1);
	receive(fd);
	close(fd);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_checked_fixture(cases, begin, end);
	tcase_add_loop_test(cases, form, 0, sizeof(levels) / sizeof(levels[0]));
	tcase_add_test(cases, blocked);
	tcase_add_test(cases, gone_and_back);
	tcase_add_loop_test(cases, no_way_there, 0, 2);
}

UNIT_MAIN("log_syslog", fill)
