#ifndef SUPPORT_STORAGE_SIDE_H
#define SUPPORT_STORAGE_SIDE_H

#include "reconciler/base/buf.h"
#include "reconciler/storage/storage.h"
#include "tests/support/storage_model.h"

struct event_base;

/* One who has a storage open; what is asked is waited for, by turning the loop. */
struct side {
    struct event_base *base;
    struct storage *storage;
    struct storage_model *model; /* what was found */
    bool is_loaded;
    size_t problems, found;
    struct error error;      /* of `loaded`; kind ERROR_NONE */
    enum error_kind refuses; /* found says so of orders; ERROR_NONE: it takes all */
    int away, back;
};

/* What came of one question. */
struct heard {
    size_t count;
    enum storage_outcome outcome;
    struct error error;
    bool is_there;
    struct storage_version version;
    struct buf text; /* of the value that was got; free it */
    char keys[8][64];
    size_t key_count;
    bool is_whole;
};

/* Opens it; to be closed in any case. `refuses` stays, and a `model` from malloc is filled. */
void side_open(struct side *s, struct event_base *base, const struct storage_options *options);
void side_await_loaded(struct side *s);
void side_close(struct side *s);

/* Answers, for those who ask themselves: struct heard is the context. */
storage_done side_on_done;
storage_listed side_on_listed;
void side_await(const struct side *s, const struct heard *h, size_t count);
/* Turns the loop for a while in which nothing need happen. */
void side_idle(const struct side *s);

struct heard side_put(struct side *s, const struct storage_change *changes, size_t count);
struct heard side_put_value(struct side *s, const struct value *v);
struct heard side_get(struct side *s, const struct value *which);
/* Does it hold just this, or nothing under this key? */
bool side_holds(struct side *s, const struct value *v);
bool side_lacks(struct side *s, const struct value *v);

#endif
