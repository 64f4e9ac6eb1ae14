#ifndef SERVE_ANSWER_H
#define SERVE_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"

/* Kong's error bodies, byte for byte. Pure. */

#define ANSWER_ID_SIZE 33    /* 32 lower-case hexadecimal digits and a NUL */
#define ANSWER_ACCEPT_MAX 64 /* media ranges of an Accept field that are looked at */

enum answer_type { ANSWER_JSON, ANSWER_HTML, ANSWER_XML, ANSWER_PLAIN, ANSWER_GRPC };

/*
 * Kong's choice by an Accept value: the highest q wins, the first on ties; JSON for what it does
 * not know. `absent` is the answer where `accept` is STR_NONE.
 */
enum answer_type answer_negotiate(struct str accept, enum answer_type absent);
/* By a media type, as Kong does with a request's Content-Type; `absent` as above and for unknown
 * ones. */
enum answer_type answer_type_of(struct str content_type, enum answer_type absent);

/* "application/json; charset=utf-8" and so on; STR_NONE for ANSWER_GRPC. */
struct str answer_content_type(enum answer_type type);

/* Appends the body; `id` as 32 hexadecimal digits. Failure shows as out->failed. */
void answer_body(struct buf *out, enum answer_type type, const char *message, const char *id);

/* 16 random bytes as an id. */
void answer_id(const unsigned char bytes[16], char id[ANSWER_ID_SIZE]);

#endif
