#pragma once

#include "reconciler/base/buf.h"
#include "spec/spec.h"

/* Loads configurations that stand in a test as text. Aborts when memory is out. */

struct spec_text {
    struct arena *arena;
    struct spec_detail *detail;
    struct model *model; /* NULL: refused */
    struct problems problems;
    struct error error;
    struct buf printed; /* the problems as text */
    int rc;
};

/* One source called kong.yaml; `options` NULL: none. Close with spec_text_close. */
void spec_text_open(struct spec_text *t, const char *yaml, const struct spec_options *options);
void spec_text_open_all(struct spec_text *t, const struct spec_source *sources, size_t count,
                        const struct spec_options *options);
void spec_text_close(struct spec_text *t);

/*
 * True if `yaml` (behind a line that states version 3.0) has exactly these problems, a line each
 * without "kong.yaml:"; "" for none. Prints both if not.
 */
bool spec_text_says(const char *yaml, const char *problems);
bool spec_text_says_with(const char *yaml, const char *problems,
                         const struct spec_options *options);
