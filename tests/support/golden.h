#pragma once

#include <stdbool.h>

#include "reconciler/base/str.h"

/*
 * True if the file `path` (from the repository's root) holds exactly `actual`; otherwise prints the
 * first difference. With UPDATE_GOLDEN=1 in the environment the file is written instead.
 */
bool golden_matches(const char *path, struct str actual);
