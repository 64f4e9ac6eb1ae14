#ifndef CONTROL_TODO_H
#define CONTROL_TODO_H

#include <stdbool.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/core/plan.h"

/*
 * What `apply` lets control do: these actions and no other. The verb prints it into a memfd, the
 * supervisor hands that on, control reads it: a line an action, "issue a.test", and "issue+ a.test"
 * where it replaces a declared certificate.
 */

#define TODO_BYTES_MAX ((size_t)1 << 30)

struct todo;

/* Does anything happen by it? Keeping, waiting and blocks are no deeds. */
bool todo_is_deed(const struct action *a);
/* The deeds of a plan, sorted as it is. Returns their number; failure shows as out->failed. */
size_t todo_print(const struct plan *plan, struct buf *out);

/* What todo_print wrote, from a descriptor of which no offset is moved. NULL with *e. */
struct todo *todo_read(int fd, struct error *e) MUST_CHECK;
void todo_free(struct todo *t); /* NULL is fine */
/* True if `a` is no deed, or stands in it just so. */
bool todo_allows(const struct todo *t, const struct action *a);

#endif
