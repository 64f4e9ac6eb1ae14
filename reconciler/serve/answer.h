#pragma once

#include <stddef.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"

/* Kong's error bodies, byte for byte (kong/tools/http.lua's behaviour). Pure. */

#define ANSWER_ID_SIZE 33    /* 32 lower-case hexadecimal digits and a NUL */
#define ANSWER_RANGES_MAX 64 /* media ranges that are looked at */

enum answer_type { ANSWER_JSON, ANSWER_HTML, ANSWER_XML, ANSWER_PLAIN, ANSWER_GRPC };

/*
 * Kong's choice by the values of Accept fields: the highest q wins, the first on ties; JSON where
 * it is a type that Kong has no template for. `absent` is the answer where `count` is 0.
 */
enum answer_type answer_negotiate(const struct str *accepts, size_t count, enum answer_type absent);

/* "application/json; charset=utf-8" and so on; STR_NONE for ANSWER_GRPC. */
struct str answer_content_type(enum answer_type type);

/* Appends the body; the message is not escaped, as in Kong. Failure shows as out->failed. */
void answer_body(struct buf *out, enum answer_type type, const char *message, const char *id);

/* 16 random bytes as an id. */
void answer_id(const unsigned char bytes[16], char id[ANSWER_ID_SIZE]);
