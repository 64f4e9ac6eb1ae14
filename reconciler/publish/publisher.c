#include "reconciler/publish/publisher.h"

#include <stdlib.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/io/job.h"
#include "reconciler/publish/challenge_board.h"
#include "reconciler/publish/index.h"
#include "reconciler/publish/stack.h"

/* A generation with challenges that nobody has been told of yet, on its way to the receivers. */
struct round {
    struct publisher *publisher;
    uint64_t generation;
};

struct publisher {
    struct publisher_options options;
    struct stack *stack;
    bool is_changed; /* the stack is not what the workers were told last */
    uint64_t first, generation;
    struct stack_merge merge;
    bool is_merging, merge_finished;
};

struct publisher *publisher_new(const struct publisher_options *options, struct error *e)
{
    struct publisher *p = calloc(1, sizeof(*p));

    /* Ids and generations of a control that died must not come again to its workers. */
    uint64_t first = (uint64_t)clock_now_ms() << 16;

    if (p)
        p->stack = stack_new(first);
    if (!p || !p->stack) {
        free(p);
        return error_no_memory(e);
    }
    p->options = *options;
    p->first = p->generation = first;
    return p;
}

void publisher_free(struct publisher *p)
{
    if (!p)
        return;
    if (p->merge_finished)
        publisher_deliver(p);
    stack_free(p->stack);
    free(p);
}

int64_t publisher_wait(const struct publisher *p)
{
    int64_t wait = stack_merge_wait(p->stack, clock_steady_ms());

    return wait == INT64_MAX ? wait : (wait + 999) / 1000;
}

/* ---- segments ---- */

/*
 * The stack takes `fd`. When it is full, everything is merged here and now: better late than not.
 */
static const struct stack_segment *push(struct publisher *p, int fd, uint64_t size, struct error *e)
{
    const struct stack_segment *entry = NULL;

    if (fd < 0)
        return NULL;
    if (!p->is_merging && stack_count(p->stack) + 1 >= STACK_NAMES_MAX &&
        stack_merge_begin(p->stack, clock_steady_ms(), &p->merge)) {
        stack_merge_run(&p->merge);
        if (stack_merge_end(p->stack, &p->merge, &entry, e) == 0 && entry)
            index_rebind(p->options.index, entry->mapped);
    }
    entry = stack_push(p->stack, fd, size, e);
    if (entry)
        p->is_changed = true;
    return entry;
}

static int build_names(struct publisher *p, struct error *e)
{
    struct index_changes *changes = NULL;
    const struct stack_segment *entry;
    uint64_t size = 0;
    int fd;

    if (index_take_changes(p->options.index, 0, &changes, e))
        return -1;
    if (!changes)
        return 0;
    fd = segment_write_names(changes->names, changes->count, &size, e);
    entry = push(p, fd, size, e);
    if (entry)
        index_rebind(p->options.index, entry->mapped);
    else if (index_give_back(p->options.index, changes))
        happening_tell_error(HAPPENING_PUBLISH_LOST_CHANGES, e, NULL);
    index_changes_free(changes);
    return entry ? 0 : -1;
}

int publisher_build(struct publisher *p, const struct publisher_rules *rules, struct error *e)
{
    uint64_t size = 0;

    if (build_names(p, e))
        return -1;
    if (!rules)
        return 0;
    if (!push(p, segment_write_gate(&rules->gate, &size, e), size, e) ||
        !push(p, segment_write_routes(&rules->routes, &size, e), size, e))
        return -1;
    return 0;
}

static int build_challenges(struct publisher *p, struct error *e)
{
    struct challenge_board *board = p->options.board;
    size_t count = challenge_board_count(board);
    struct segment_challenge *list;
    uint64_t size = 0;
    int fd;

    if (!challenge_board_has_news(board))
        return 0;
    list = calloc(count + 1, sizeof(*list));
    if (!list)
        return error_memory(e);
    challenge_board_list(board, list);
    fd = segment_write_challenges(list, count, &size, e);
    free(list);
    if (!push(p, fd, size, e))
        return -1;
    challenge_board_is_written(board);
    return 0;
}

/* ---- generations ---- */

static void run_merge(void *context)
{
    struct publisher *p = context;

    stack_merge_run(&p->merge);
}

static void on_merged(void *context)
{
    struct publisher *p = context;

    p->merge_finished = true;
    p->options.ready(p->options.context);
}

static void start_merge(struct publisher *p)
{
    const struct stack_segment *entry;
    struct error e;

    if (p->is_merging || !stack_merge_begin(p->stack, clock_steady_ms(), &p->merge))
        return;
    p->is_merging = true;
    if (job_submit(p->options.jobs, run_merge, on_merged, p) == 0)
        return;
    error_memory(&p->merge.error);
    p->is_merging = false;
    if (stack_merge_end(p->stack, &p->merge, &entry, &e))
        happening_tell_error(HAPPENING_MERGE_FAILED, &e, NULL);
}

static void on_acknowledged(void *context)
{
    struct round *r = context;

    challenge_board_acknowledged(r->publisher->options.board, r->generation);
    free(r);
}

/* Of the newest generation, which holds all that is on the board. */
static int await_receivers(struct publisher *p, struct error *e)
{
    const struct publisher_receivers *to = &p->options.receivers;
    struct round *r;

    if (!challenge_board_waits(p->options.board))
        return 0;
    r = malloc(sizeof(*r));
    if (!r)
        return error_memory(e);
    *r = (struct round){.publisher = p, .generation = p->generation};
    challenge_board_name(p->options.board, 0, p->generation);
    if (to->when_acknowledged(to->context, p->generation, on_acknowledged, r) == 0)
        return 0;
    free(r);
    challenge_board_name(p->options.board, p->generation, 0);
    return error_memory(e);
}

static int announce_stack(struct publisher *p, struct error *e)
{
    const struct publisher_receivers *to = &p->options.receivers;
    struct channel_segment list[CHANNEL_SEGMENTS_MAX];
    size_t count = stack_count(p->stack);

    if (!p->is_changed)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const struct stack_segment *s = stack_at(p->stack, i);
        list[i] = (struct channel_segment){.id = s->id, .size = s->size, .fd = s->fd};
    }
    if (to->publish(to->context, p->generation + 1, list, count, e))
        return -1;
    p->generation++;
    p->is_changed = false;
    return 0;
}

uint64_t publisher_announce(struct publisher *p, struct error *e)
{
    if (publisher_build(p, NULL, e) || build_challenges(p, e) || announce_stack(p, e) ||
        await_receivers(p, e))
        return 0;
    start_merge(p);
    return p->generation;
}

void publisher_deliver(struct publisher *p)
{
    const struct stack_segment *entry = NULL;
    struct error e;

    if (!p->merge_finished)
        return;
    p->merge_finished = p->is_merging = false;
    if (stack_merge_end(p->stack, &p->merge, &entry, &e)) {
        happening_tell_error(HAPPENING_MERGE_FAILED, &e, NULL);
        return;
    }
    if (entry)
        index_rebind(p->options.index, entry->mapped);
    p->is_changed = true;
}

uint64_t publisher_count(const struct publisher *p)
{
    return p->generation - p->first;
}
