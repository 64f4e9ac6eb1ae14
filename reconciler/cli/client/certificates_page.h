#pragma once

#include "reconciler/base/str.h"
#include "reconciler/core/desired.h"
#include "reconciler/core/observed.h"
#include "reconciler/core/policy.h"

/* /certificates of a running server (design 6), read back into what a plan is made from. */

/* As many as a file of the largest size can ask for. */
#define CERTIFICATES_PAGE_NAMES_MAX ((size_t)2000000)

struct certificates_page;

/* `body` is copied. -1 with ERROR_INVALID if it is no such page, ERROR_LIMIT, ERROR_MEMORY. */
int certificates_page_open(struct str body, struct certificates_page **page,
                           struct error *e) MUST_CHECK;
void certificates_page_close(struct certificates_page *page); /* NULL is fine */

/* Sets the demands of `options`: names that no line of the server's file asks for. */
int certificates_page_demands(const struct certificates_page *page, int64_t now,
                              struct arena *arena, struct desired_options *options,
                              struct error *e) MUST_CHECK;
/*
 * Sorted by name, each once; strings belong to the page. The page does not say when a name failed,
 * only until when it waits: `policy` works back from there.
 */
int certificates_page_observe(const struct certificates_page *page, const struct policy *policy,
                              struct arena *arena, struct observed **observed,
                              struct error *e) MUST_CHECK;
