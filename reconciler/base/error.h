#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"

/* What went wrong, for policy; the text is for people and is never looked at. */
enum error_kind {
    ERROR_NONE,
    ERROR_MEMORY,
    ERROR_LIMIT,   /* one of our named limits was crossed */
    ERROR_SYNTAX,  /* bytes that do not parse */
    ERROR_INVALID, /* parsed, but not allowed */
    ERROR_USAGE,   /* wrong command line or setting */
    ERROR_IO,      /* files, sockets, processes of this machine */
    ERROR_IN_USE,  /* an address or a lock that somebody else holds */
    ERROR_STORAGE, /* the durable store cannot be read or written */
    ERROR_NETWORK, /* no answer from the other side: DNS, connect, TLS, reset */
    ERROR_TIMEOUT,
    ERROR_CRYPTO,        /* a key, certificate or signature that libcrypto refuses */
    ERROR_PROTOCOL,      /* an answer that breaks RFC 8555 or HTTP */
    ERROR_CA_REFUSED,    /* the CA says no for good: rejectedIdentifier, caa, badCSR ... */
    ERROR_CHALLENGE,     /* the CA could not validate the challenge */
    ERROR_RATE_LIMIT,    /* 429, rateLimited: what was asked for */
    ERROR_ACCOUNT_LIMIT, /* the same, and whatever else the account asks for, too */
    ERROR_CA_BROKEN,     /* 5xx, serverInternal: passes */
    ERROR_ACCOUNT,       /* account unknown, deactivated, EAB missing, terms not agreed */
    ERROR_NEEDLESS,      /* no failure: a certificate came, and another one was due at once */
    ERROR_KIND_COUNT
};

#define ERROR_MESSAGE_MAX 512
#define ERROR_PATH_MAX 256

/*
 * One failure on its way up. Plain data: copy it freely, nothing to free.
 * Functions that can fail take a `struct error *` last and fill it only on failure; NULL is not
 * allowed.
 */
struct error {
    enum error_kind kind;
    bool permanent;   /* trying again the same way cannot help */
    int64_t retry_at; /* unix seconds before which the other side does not want us; 0 = any time */
    uint32_t line;    /* 1-based; 0 = no place */
    uint32_t column;  /* 1-based, in bytes */
    char file[ERROR_PATH_MAX];       /* file name or URL; "" = none */
    char path[ERROR_PATH_MAX];       /* path in the document, or the setting's name; "" = none */
    char message[ERROR_MESSAGE_MAX]; /* one sentence, no full stop; outside text as it
                                        is: whoever prints it escapes it, once */
};

/*
 * Fills `e` (place, retry_at and permanent cleared) and returns -1, so that `return error_set(...)`
 * works.
 */
int error_set(struct error *e, enum error_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same, with ": " and strerror(number) behind the text. */
int error_errno(struct error *e, enum error_kind kind, int number, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* ERROR_MEMORY. */
int error_memory(struct error *e);
void *error_no_memory(struct error *e); /* the same, for who returns a pointer: NULL */
/* Puts "text: " in front of the message. Returns -1. */
int error_prefix(struct error *e, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same behind it; what is there already is kept. */
int error_suffix(struct error *e, const char *format, ...) PRINTF_LIKE(2, 3);
/* Stable lower-case word for logs and JSON: "memory", "rate_limit" ... */
const char *error_kind_name(enum error_kind kind);
/* The reverse; ERROR_NONE for an unknown word. */
enum error_kind error_kind_from(const char *name);
