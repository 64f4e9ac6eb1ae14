#pragma once

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/settings/settings.h"

#define LISTEN_BACKLOG_MAX 65535

/* Which flags an entry may carry. */
enum listen_kind { LISTEN_HTTP, LISTEN_STREAM };

/*
 * One entry of a *_listen list in Kong's syntax: `0.0.0.0:8443 http2 ssl backlog=16384`, IPv6 in
 * brackets, flags in any order. 0, or -1 with *e (ERROR_USAGE).
 */
int listen_parse(struct str text, enum listen_kind kind, struct settings_listen *out,
                 struct error *e) MUST_CHECK;
/* The reverse, without `is_default`. */
void listen_print(const struct settings_listen *l, struct buf *out);
