#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/settings/settings.h"

#define SETTINGS_TEXT_PATH_SIZE 64

/* A settings file that lives as long as its descriptor, which is returned; `path` names it. */
int settings_text_open(const char *text, size_t len, char path[SETTINGS_TEXT_PATH_SIZE]);
/* environ's type, though nobody writes to it. */
char *const *settings_text_variables(const char *const *list);
/* An environment that has HOME and nothing else. */
char *const *settings_text_home(void);
/* settings_read of a file with this text alone. */
int settings_text_read(struct settings *s, const char *text, struct error *e);
bool settings_text_has_note(const struct settings *s, const char *text);
