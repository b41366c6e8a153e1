/*
 * Drops root. Main thread, at the start.
 */
#include "lb/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Keeps one capability and no other. libc has no wrapper for capset(2). */
static int
keep_only(unsigned capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	data[CAP_TO_INDEX(capability)].permitted = CAP_TO_MASK(capability);
	data[CAP_TO_INDEX(capability)].effective = CAP_TO_MASK(capability);
	return (int)syscall(SYS_capset, &header, data);
}

int
privileges_drop(const char *user, const char **why)
{
	if (user[0] == '\0' || geteuid() != 0)
		return 0;
	errno = 0;
	const struct passwd *account = getpwnam(user);
	if (!account) {
		errno = errno ? errno : ENOENT;
		*why = "look up the user";
		return -1;
	}
	*why = "keep CAP_NET_BIND_SERVICE";
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -1;
	*why = "become the user";
	if (initgroups(user, account->pw_gid) < 0 ||
		setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
		setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0)
		return -1;
	*why = "give up root's other powers";
	if (keep_only(CAP_NET_BIND_SERVICE) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return 0;
}
