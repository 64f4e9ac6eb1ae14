#pragma once

#include <stdio.h>
#include <stdlib.h>

/* The caller must look at the result. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* printf-like: FMT and ARGS are 1-based parameter positions. */
#define PRINTF_LIKE(FMT, ARGS) __attribute__((format(printf, FMT, ARGS)))

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* A state that only a mistake of ours can reach. Never for anything from outside. */
#define BUG(why) (fprintf(stderr, "reconcert: bug: %s (%s:%d)\n", why, __FILE__, __LINE__), abort())
