#ifndef CONTROL_ERRAND_H
#define CONTROL_ERRAND_H

#include <stdbool.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/core/plan.h"

/*
 * What `apply` lets control do: these actions and no other. The verb prints it into a memfd, the
 * supervisor hands that on, control reads it: a line an action, "issue a.test", and "issue+ a.test"
 * where it replaces a declared certificate.
 */

#define ERRAND_BYTES_MAX ((size_t)1 << 30)

struct errand;

/* Does anything happen by it? Keeping, waiting and blocks are no deeds. */
bool errand_is_deed(const struct action *a);
/* The deeds of a plan, sorted as it is. Returns their number; failure shows as out->failed. */
size_t errand_print(const struct plan *plan, struct buf *out);

/* What errand_print wrote, from a descriptor of which no offset is moved. NULL with *e. */
struct errand *errand_read(int fd, struct error *e) MUST_CHECK;
void errand_free(struct errand *t); /* NULL is fine */
/* True if `a` is no deed, or stands in it just so. */
bool errand_allows(const struct errand *t, const struct action *a);

#endif
