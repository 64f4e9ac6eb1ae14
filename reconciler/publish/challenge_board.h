#ifndef PUBLISH_CHALLENGE_BOARD_H
#define PUBLISH_CHALLENGE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/challenge.h"
#include "reconciler/base/error.h"
#include "reconciler/snapshot/segment.h"

/*
 * The challenges that receivers serve, counted by owner: a CA hands the same pending authorization
 * to two orders (RFC 8555 §7.1.4 lets it), and the first that ends must not take the answer from
 * the other.
 */
struct challenge_board;

#define CHALLENGE_BOARD_MAX 8192 /* challenges, and owners of all of them together */

/* Every live receiver has what the owner put last. Must not put or withdraw at once. */
typedef void challenge_board_served(void *context, uint64_t owner);

/* `kinds` are those that receivers serve: 1 << kind, or of several. NULL: out of memory. */
struct challenge_board *challenge_board_new(unsigned kinds, challenge_board_served *served,
                                            void *context) MUST_CHECK;
void challenge_board_free(struct challenge_board *b); /* NULL is fine */

/*
 * What the owner has put already is fine, and is told of again. -1 with *e: CHALLENGE_BOARD_MAX are
 * out, no receiver serves the kind, the same is asked for with another payload, memory.
 */
int challenge_board_put(struct challenge_board *b, uint64_t owner,
                        const struct challenge *challenge, struct error *e) MUST_CHECK;
/* All that the owner has put. True: there is something to publish. */
bool challenge_board_withdraw(struct challenge_board *b, uint64_t owner);
/* `key` as struct segment_challenge's; the payload, or STR_NONE. */
struct str challenge_board_find(const struct challenge_board *b, enum challenge_kind kind,
                                struct str key);

/* ---- for who publishes ---- */

/* Has it changed since challenge_board_is_written? */
bool challenge_board_has_news(const struct challenge_board *b);
size_t challenge_board_count(const struct challenge_board *b);
/* As many as challenge_board_count; views until the board changes. */
void challenge_board_list(const struct challenge_board *b, struct segment_challenge *list);
void challenge_board_is_written(struct challenge_board *b);

/* Has somebody put what no generation has been named for? */
bool challenge_board_waits(const struct challenge_board *b);
/* What was in generation `from` (0: in none yet) is in `to`. */
void challenge_board_name(struct challenge_board *b, uint64_t from, uint64_t to);
/* Every live receiver has this generation, and all before it. */
void challenge_board_acknowledged(struct challenge_board *b, uint64_t generation);

#endif
