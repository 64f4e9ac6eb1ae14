#pragma once

#include <stddef.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/settings/settings.h"

struct buf;

/* How one setting's text is checked and where in struct settings it is kept. */
enum setting_kind {
    SETTING_TEXT,  /* char *; NULL when unset */
    SETTING_LIST,  /* char **, NULL-terminated, with its count */
    SETTING_WORDS, /* the same, separated by blanks */
    SETTING_HTTP_LISTEN,
    SETTING_STREAM_LISTEN,
    SETTING_PORT_MAPS,
    SETTING_SWITCH,  /* bool: on off true false */
    SETTING_NUMBER,  /* unsigned */
    SETTING_WORKERS, /* unsigned, or "auto" */
    SETTING_SIZE,    /* uint64_t; 512, 512k, 512m, 512g */
    SETTING_LOG_LEVEL,
    SETTING_LOG_FORMAT,
    SETTING_CHECKED, /* checked, kept nowhere */
};

struct setting_type {
    enum setting_kind kind;
    size_t at, count_at; /* offsets into struct settings */
    size_t stated_at;    /* of a bool that tells a stated value from the default; 0 = none */
    uint64_t min, max;   /* SETTING_NUMBER, SETTING_SIZE */
    const char *const
        *words; /* the only values (or list items) allowed, NULL-terminated; NULL = any */
    int (*check)(struct str value,
                 struct error *e); /* of a value or of each list item; NULL = none */
    bool is_long;                  /* SETTINGS_CONFIG_STRING_MAX and control characters */
    bool is_secret;      /* may be a key's text, of several lines: nothing of it is ever quoted */
    bool is_for_workers; /* who have no business with any other */
};

/*
 * Sets the row's field from text as it stands in a file or variable; an empty text unsets it.
 * Fields keep what they had on failure. 0, or -1 with *e (ERROR_USAGE, path set).
 */
int setting_read(struct settings *s, const struct settings_row *row, struct str text,
                 struct error *e) MUST_CHECK;
/* The same with the row's default; listeners are marked as such. */
int setting_read_default(struct settings *s, const struct settings_row *row,
                         struct error *e) MUST_CHECK;
/* A list's items, given one by one: commas in them mean nothing. */
int setting_put_list(struct settings *s, const struct settings_row *row, const char *const *items,
                     struct error *e) MUST_CHECK;
/*
 * Writes the field for setting_load: a count, then each item's length and bytes. Nothing for a
 * field that is not stated and can say so.
 */
void setting_store(const struct settings *s, const struct settings_row *row, struct buf *out);
/* Reads `items` as setting_store printed them. 0, or -1 with *e. */
int setting_load(struct settings *s, const struct settings_row *row, const struct str *items,
                 size_t count, struct error *e) MUST_CHECK;
void setting_fini(struct settings *s, const struct settings_row *row);
