#pragma once

#include <stdbool.h>

#include "reconciler/admin/status.h"

/* What control answers to those who ask it: the functions of its status_source. `context` is the
 * struct control. */
/* And of its long pages; the cursor is a struct pages_cursor. */
void *answer_begin(void *context, enum status_page page);
bool answer_more(void *cursor, struct buf *out);
void answer_end(void *cursor);
unsigned answer_print(void *context, enum status_page page, struct str name, struct buf *out);
bool answer_is_busy(void *context, enum status_page page);
void answer_retry(void *context, struct str name);
