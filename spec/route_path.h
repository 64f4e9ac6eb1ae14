#pragma once

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"

/*
 * The normal form of a path, which Kong's router compares: %XX decoded unless the byte is reserved
 * (RFC 3986 section 2.2; its hex upper-cased), "." and ".." segments removed, slashes merged.
 * ptr NULL when memory is out.
 */
struct str route_path_normalize(struct arena *arena, struct str path);

/*
 * A path of a file of version 1.1 or 2.1 as 3.0 writes it: what looks like a regex gets "~" in
 * front and its %XX decoded, anything else is normalized.
 */
struct str route_path_migrate(struct arena *arena, struct str path);

/* routes.paths: "/..." prefix in normal form, or "~/..." regex. A schema_check. */
void route_path_check(struct str value, struct buf *why);
