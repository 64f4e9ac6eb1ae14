#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "reconciler/base/error.h"

/* What a child becomes. Not root, or root that may not change its user: what we are. */
struct privilege {
    bool is_dropped;
    bool is_shared; /* for want of a user of our own */
    uid_t uid;
    gid_t gid;
};

#define PRIVILEGE_OWN_USER "_reconcert" /* of control and the watcher; `make install` adds it */

#define PRIVILEGE_FILES_MAX 10000 /* under a prefix that changes hands */
#define PRIVILEGE_DEPTH_MAX 16
#define PRIVILEGE_STEPS_MAX 256 /* names and links on the way there */

/*
 * `nginx_user` is "user" or "user group" (without one: the group of that name, else the user's
 * own). As in Kong, "kong" becomes "nobody" where there is no such user. 0, or -1 with *e
 * (ERROR_USAGE).
 */
int privilege_find(struct privilege *p, const char *nginx_user, struct error *e) MUST_CHECK;
/*
 * The same for `acme_user`, which is control's and the watcher's. NULL: PRIVILEGE_OWN_USER or,
 * where there is none, nobody, who is shared with what else runs as nobody and could do what
 * control may.
 */
int privilege_find_own(struct privilege *p, const char *acme_user, struct error *e) MUST_CHECK;
/*
 * Makes the folder (0700) with its parents (0755) unless it is there. A link on the way, or in its
 * place, is followed only where nobody but root (or we) can have made it, and else refused. One that is root's is given
 * to the user, with what we have put into it; symbolic links are left alone, so are files with
 * several names and other people's files. One that is nobody's or `former`'s, as whom control once
 * ran, is taken over in the same way, and closed to others. Whoever is that user may change it
 * meanwhile: nothing but what is theirs changes hands. One that holds what is not ours is refused:
 * a mistyped prefix must not give a whole system away. Nothing to do, nothing done: it happens
 * once. 0, or -1 with *e.
 */
int privilege_own_folder(const struct privilege *p, uid_t former, const char *path,
                         struct error *e) MUST_CHECK;
/*
 * In a child just before exec: becomes the user, without any capability but, with `reads_all`,
 * CAP_DAC_READ_SEARCH, and unable to gain one. 0, or -1 with errno.
 */
int privilege_drop(const struct privilege *p, bool reads_all) MUST_CHECK;
