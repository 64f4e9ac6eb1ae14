#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[ERROR_KIND_COUNT] = {
    [ERROR_NONE] = "none",
    [ERROR_MEMORY] = "memory",
    [ERROR_LIMIT] = "limit",
    [ERROR_SYNTAX] = "syntax",
    [ERROR_INVALID] = "invalid",
    [ERROR_USAGE] = "usage",
    [ERROR_IO] = "io",
    [ERROR_IN_USE] = "in_use",
    [ERROR_STORAGE] = "storage",
    [ERROR_NETWORK] = "network",
    [ERROR_TIMEOUT] = "timeout",
    [ERROR_CRYPTO] = "crypto",
    [ERROR_PROTOCOL] = "protocol",
    [ERROR_CA_REFUSED] = "ca_refused",
    [ERROR_CHALLENGE] = "challenge",
    [ERROR_RATE_LIMIT] = "rate_limit",
    [ERROR_ACCOUNT_LIMIT] = "account_limit",
    [ERROR_CA_BROKEN] = "ca_broken",
    [ERROR_ACCOUNT] = "account",
    [ERROR_NEEDLESS] = "needless",
};

static void set_text(struct error *e, enum error_kind kind, const char *format, va_list args)
{
    char text[ERROR_MESSAGE_MAX];

    /* Through a copy: an argument may be e's own old message. */
    vsnprintf(text, sizeof(text), format, args);
    memset(e, 0, sizeof(*e));
    e->kind = kind;
    memcpy(e->message, text, sizeof(text));
}

int error_set(struct error *e, enum error_kind kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_text(e, kind, format, args);
    va_end(args);
    return -1;
}

int error_errno(struct error *e, enum error_kind kind, int number, const char *format, ...)
{
    va_list args;
    char why[128];

    va_start(args, format);
    set_text(e, kind, format, args);
    va_end(args);
    return error_suffix(e, ": %s", strerror_r(number, why, sizeof(why)));
}

int error_memory(struct error *e)
{
    return error_set(e, ERROR_MEMORY, "out of memory");
}

void *error_no_memory(struct error *e)
{
    error_memory(e);
    return NULL;
}

int error_prefix(struct error *e, const char *format, ...)
{
    char text[ERROR_MESSAGE_MAX];
    va_list args;
    size_t len;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    len = strlen(text);
    snprintf(text + len, sizeof(text) - len, ": %.*s", (int)(sizeof(text) - len), e->message);
    memcpy(e->message, text, sizeof(text));
    return -1;
}

int error_suffix(struct error *e, const char *format, ...)
{
    size_t len = strlen(e->message);
    va_list args;

    va_start(args, format);
    vsnprintf(e->message + len, sizeof(e->message) - len, format, args);
    va_end(args);
    return -1;
}

const char *error_kind_name(enum error_kind kind)
{
    return kind < ERROR_KIND_COUNT ? kind_names[kind] : "unknown";
}

enum error_kind error_kind_from(const char *name)
{
    for (int kind = 0; kind < ERROR_KIND_COUNT; kind++)
        if (strcmp(kind_names[kind], name) == 0)
            return (enum error_kind)kind;
    return ERROR_NONE;
}
