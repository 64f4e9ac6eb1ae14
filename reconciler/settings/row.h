#pragma once

#include <stddef.h>

#include "reconciler/base/str.h"
#include "reconciler/settings/settings.h"

/* The table of all settings, in the order in which people read them; ends with a NULL name. */
const struct settings_row *row_table(void);
size_t row_count(void);
/* NULL where there is none. */
const struct settings_row *row_find(struct str name);
/* The row whose name is a few letters away from `name`; NULL where none is. */
const struct settings_row *row_near(struct str name);
