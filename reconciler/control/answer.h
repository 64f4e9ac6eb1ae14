#pragma once

#include <stdbool.h>

#include "reconciler/admin/status.h"

/* What control answers to those who ask it: the functions of its status_source. `context` is the
 * struct control. */
struct pages answer_pages(void *context);
bool answer_is_busy(void *context, enum status_page page);
void answer_retry(void *context, struct str name);
