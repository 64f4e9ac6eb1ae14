/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * What has to be watched so that no change of a file is missed, whatever becomes of the links and
 * folders on the way to it: every directory that a walk along its path passes through, symbolic
 * links followed one by one, and in each the names that matter. Files themselves are never watched:
 * an inode says nothing about the next one to bear its name. A path that ends in a folder stands
 * for all that lies in it, hidden names left out.
 */
#define CHAIN_FOLDERS_MAX 8192
#define CHAIN_LINKS_MAX 40 /* symbolic links on one path, as in the kernel */
#define CHAIN_DEPTH_MAX 16 /* folders within a folder that was given */

struct chain;

/* `paths` must outlive it. NULL when memory is out. */
struct chain *chain_new(const char *const *paths, size_t count);
void chain_free(struct chain *c); /* NULL is fine */
/*
 * Walks all paths and watches anew from nothing: the descriptor to poll, or -1 where inotify is not
 * to be had (said on stderr). A directory that cannot be watched is left out, and that said once.
 * What happened before the return is not reported any more, what happens after is.
 */
int chain_arm(struct chain *c);
/* Takes all events that wait; whether one of them matters, so that it is time to look and arm
 * again. */
bool chain_drain(struct chain *c);
