#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/net/http1.h"

/* Reads the bytes of one direction of a connection, as a server or as a client does. */
struct http_reading {
    bool is_of_responses;
    bool is_head; /* responses to HEAD */
    size_t step;  /* the bytes come in pieces of that size; 0 = all at once */
    /* What is to hold for each head; NULL = nothing. */
    void (*check)(const struct http_head *head);
};

struct http_reader_outcome {
    size_t messages;    /* whole ones, bodies read */
    bool is_refused;    /* at any place */
    bool is_incomplete; /* it ends within one */
    bool keep_alive;    /* of the last one */
    enum http1_refusal refusal;
    unsigned status; /* of the last response */
    size_t body_bytes, used;
};

/* The connection ends behind `bytes`. */
struct http_reader_outcome http_reader_read(struct str bytes, struct http_reading how);
