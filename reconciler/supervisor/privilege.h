#ifndef SUPERVISOR_PRIVILEGE_H
#define SUPERVISOR_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "reconciler/base/error.h"

/* What children become. Not root, or root that may not change its user: what they are. */
struct privilege {
    bool is_dropped;
    uid_t uid;
    gid_t gid;
};

#define PRIVILEGE_FILES_MAX 10000 /* under a prefix that changes hands */
#define PRIVILEGE_DEPTH_MAX 16

/*
 * `nginx_user` is "user" or "user group" (without one: the group of that name, else the user's
 * own). As in Kong, "kong" becomes "nobody" where there is no such user. 0, or -1 with *e
 * (ERROR_USAGE).
 */
int privilege_find(struct privilege *p, const char *nginx_user, struct error *e) MUST_CHECK;
/*
 * Makes the folder (0700) with its parents (0755) unless it is there. One that is root's is given
 * to the user, with what we have put into it; symbolic links are left alone, so are files with
 * several names and other people's files. One that holds what is not ours is refused: a mistyped
 * prefix must not give a whole system away. Nothing to do, nothing done: it happens once. 0, or -1
 * with *e.
 */
int privilege_own_folder(const struct privilege *p, const char *path, struct error *e) MUST_CHECK;
/*
 * In a child just before exec: becomes the user, without any capability but, with `reads_all`,
 * CAP_DAC_READ_SEARCH, and unable to gain one. 0, or -1 with errno.
 */
int privilege_drop(const struct privilege *p, bool reads_all) MUST_CHECK;

#endif
