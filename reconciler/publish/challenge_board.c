#include "reconciler/publish/challenge_board.h"

#include <stdlib.h>

#include "reconciler/base/vec.h"

#define TOLD UINT64_MAX

struct claim {
    uint64_t owner;
    uint64_t generation; /* that holds what it claims; 0 = none was named yet; or TOLD */
};

struct claims vec(struct claim);

struct entry {
    enum challenge_kind kind;
    char *key, *payload;
    struct claims claims; /* never empty */
};

struct entries vec(struct entry);

struct challenge_board {
    unsigned kinds;
    challenge_board_served *served;
    void *context;
    struct entries entries;
    size_t claims; /* of all entries */
    bool has_news;
};

struct challenge_board *challenge_board_new(unsigned kinds, challenge_board_served *served,
                                            void *context)
{
    struct challenge_board *b = calloc(1, sizeof(*b));

    if (b) {
        b->kinds = kinds;
        b->served = served;
        b->context = context;
    }
    return b;
}

static void entry_fini(struct entry *x)
{
    free(x->key);
    free(x->payload);
    vec_free(&x->claims);
}

void challenge_board_free(struct challenge_board *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->entries.len; i++)
        entry_fini(&b->entries.items[i]);
    vec_free(&b->entries);
    free(b);
}

/* A validator comes for a token, or in a handshake that has nothing but a name (RFC 8737 §3). */
static struct str key_of(const struct challenge *c)
{
    return c->kind == CHALLENGE_TLS_ALPN_01 ? c->name : c->token;
}

static struct entry *find(const struct challenge_board *b, enum challenge_kind kind, struct str key)
{
    for (size_t i = 0; i < b->entries.len; i++)
        if (b->entries.items[i].kind == kind && str_equal_cstr(key, b->entries.items[i].key))
            return &b->entries.items[i];
    return NULL;
}

struct str challenge_board_find(const struct challenge_board *b, enum challenge_kind kind,
                                struct str key)
{
    const struct entry *x = find(b, kind, key);

    return x ? str_from(x->payload) : STR_NONE;
}

static struct claim *find_claim(const struct entry *x, uint64_t owner)
{
    for (size_t i = 0; i < x->claims.len; i++)
        if (x->claims.items[i].owner == owner)
            return &x->claims.items[i];
    return NULL;
}

static struct claim *find_claim_at(const struct entry *x, uint64_t generation)
{
    for (size_t i = 0; i < x->claims.len; i++)
        if (x->claims.items[i].generation == generation)
            return &x->claims.items[i];
    return NULL;
}

/* A new entry with its first claim. */
static int enter(struct challenge_board *b, const struct challenge *c, struct claim claim,
                 struct error *e)
{
    struct entry x = {.kind = c->kind, .key = str_dup(key_of(c)), .payload = str_dup(c->payload)};

    if (!x.key || !x.payload || vec_push(&x.claims, claim) || vec_push(&b->entries, x)) {
        entry_fini(&x);
        return error_memory(e);
    }
    b->has_news = true;
    b->claims++;
    return 0;
}

int challenge_board_put(struct challenge_board *b, uint64_t owner,
                        const struct challenge *challenge, struct error *e)
{
    const struct claim claim = {.owner = owner};
    struct entry *x = find(b, challenge->kind, key_of(challenge));
    struct claim *known = x ? find_claim(x, owner) : NULL;

    if (!(b->kinds & 1u << challenge->kind))
        return error_set(e, ERROR_PROTOCOL, "no receiver serves challenges of this kind");
    if (x && !str_equal_cstr(challenge->payload, x->payload))
        return error_set(e, ERROR_PROTOCOL,
                         "the challenge is out already with another key authorization");
    if (known) {
        known->generation = 0;
        return 0;
    }
    if (b->claims == CHALLENGE_BOARD_MAX)
        return error_set(e, ERROR_LIMIT, "more than %d challenges are open", CHALLENGE_BOARD_MAX);
    if (!x)
        return enter(b, challenge, claim, e);
    if (vec_push(&x->claims, claim))
        return error_memory(e);
    b->claims++;
    return 0;
}

bool challenge_board_withdraw(struct challenge_board *b, uint64_t owner)
{
    for (size_t i = b->entries.len; i-- > 0;) {
        struct entry *x = &b->entries.items[i];
        struct claim *claim = find_claim(x, owner);
        if (!claim)
            continue;
        *claim = x->claims.items[--x->claims.len];
        b->claims--;
        if (x->claims.len)
            continue;
        entry_fini(x);
        *x = b->entries.items[--b->entries.len];
        b->has_news = true;
    }
    return b->has_news;
}

/* ---- for who publishes ---- */

bool challenge_board_has_news(const struct challenge_board *b)
{
    return b->has_news;
}

size_t challenge_board_count(const struct challenge_board *b)
{
    return b->entries.len;
}

void challenge_board_list(const struct challenge_board *b, struct segment_challenge *list)
{
    for (size_t i = 0; i < b->entries.len; i++)
        list[i] = (struct segment_challenge){.kind = b->entries.items[i].kind,
                                             .key = str_from(b->entries.items[i].key),
                                             .payload = str_from(b->entries.items[i].payload)};
}

void challenge_board_is_written(struct challenge_board *b)
{
    b->has_news = false;
}

bool challenge_board_waits(const struct challenge_board *b)
{
    for (size_t i = 0; i < b->entries.len; i++)
        if (find_claim_at(&b->entries.items[i], 0))
            return true;
    return false;
}

void challenge_board_name(struct challenge_board *b, uint64_t from, uint64_t to)
{
    struct claim *claim;

    for (size_t i = 0; from != to && i < b->entries.len; i++)
        while ((claim = find_claim_at(&b->entries.items[i], from)))
            claim->generation = to;
}

void challenge_board_acknowledged(struct challenge_board *b, uint64_t generation)
{
    for (size_t i = 0; i < b->entries.len; i++) {
        struct claims *claims = &b->entries.items[i].claims;
        for (size_t n = 0; n < claims->len; n++) {
            struct claim *claim = &claims->items[n];
            if (!claim->generation || claim->generation > generation)
                continue;
            claim->generation = TOLD;
            b->served(b->context, claim->owner);
        }
    }
}
