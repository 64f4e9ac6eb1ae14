#include "reconciler/publish/publisher.h"

#include <stdlib.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/base/vec.h"
#include "reconciler/feed/feed.h"
#include "reconciler/io/job.h"
#include "reconciler/publish/index.h"
#include "reconciler/publish/stack.h"

struct token {
    char *token;
    char *answer;
};

struct tokens vec(struct token);

struct publisher {
    struct publisher_options options;
    struct stack *stack;
    struct tokens tokens;
    bool tokens_changed;
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
        error_memory(e);
        return NULL;
    }
    p->options = *options;
    p->first = p->generation = first;
    return p;
}

static void token_fini(struct token *t)
{
    free(t->token);
    free(t->answer);
}

void publisher_free(struct publisher *p)
{
    if (!p)
        return;
    if (p->merge_finished)
        publisher_deliver(p);
    for (size_t i = 0; i < p->tokens.len; i++)
        token_fini(&p->tokens.items[i]);
    vec_free(&p->tokens);
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
    if (!p->is_merging && stack_count(p->stack) + 1 >= STACK_CREDENTIALS_MAX &&
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

static int build_credentials(struct publisher *p, struct error *e)
{
    struct index_changes *changes = NULL;
    const struct stack_segment *entry;
    uint64_t size = 0;
    int fd;

    if (index_take_changes(p->options.index, 0, &changes, e))
        return -1;
    if (!changes)
        return 0;
    fd = segment_write_credentials(changes->names, changes->count, &size, e);
    entry = push(p, fd, size, e);
    if (entry)
        index_rebind(p->options.index, entry->mapped);
    else if (index_give_back(p->options.index, changes))
        happening_tell_error(HAPPENING_PUBLISH_LOST_CHANGES, e, NULL);
    index_changes_free(changes);
    return entry ? 0 : -1;
}

int publisher_build(struct publisher *p, const struct segment_routes *routes, struct error *e)
{
    uint64_t size = 0;

    if (build_credentials(p, e))
        return -1;
    if (!routes)
        return 0;
    return push(p, segment_write_routes(routes, &size, e), size, e) ? 0 : -1;
}

static int build_tokens(struct publisher *p, struct error *e)
{
    struct segment_token *list;
    uint64_t size = 0;
    int fd;

    if (!p->tokens_changed)
        return 0;
    list = calloc(p->tokens.len + 1, sizeof(*list));
    if (!list)
        return error_memory(e);
    for (size_t i = 0; i < p->tokens.len; i++)
        list[i] = (struct segment_token){.token = str_from(p->tokens.items[i].token),
                                         .answer = str_from(p->tokens.items[i].answer)};
    fd = segment_write_tokens(list, p->tokens.len, &size, e);
    free(list);
    if (!push(p, fd, size, e))
        return -1;
    p->tokens_changed = false;
    return 0;
}

/* ---- tokens ---- */

static struct token *find_token(const struct publisher *p, struct str token)
{
    for (size_t i = 0; i < p->tokens.len; i++)
        if (str_equal_cstr(token, p->tokens.items[i].token))
            return &p->tokens.items[i];
    return NULL;
}

int publisher_token_add(struct publisher *p, struct str token, struct str answer, struct error *e)
{
    struct token t = {0};

    if (find_token(p, token))
        return 0;
    if (p->tokens.len == PUBLISH_TOKENS_MAX)
        return error_set(e, ERROR_LIMIT, "more than %d challenges are open", PUBLISH_TOKENS_MAX);
    t = (struct token){.token = str_dup(token), .answer = str_dup(answer)};
    if (!t.token || !t.answer || vec_push(&p->tokens, t)) {
        token_fini(&t);
        return error_memory(e);
    }
    p->tokens_changed = true;
    return 0;
}

void publisher_token_remove(struct publisher *p, struct str token)
{
    struct token *t = find_token(p, token);

    if (!t)
        return;
    token_fini(t);
    *t = p->tokens.items[--p->tokens.len];
    p->tokens_changed = true;
}

struct str publisher_token_find(const struct publisher *p, struct str token)
{
    const struct token *t = find_token(p, token);

    return t ? str_from(t->answer) : STR_NONE;
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

uint64_t publisher_announce(struct publisher *p, struct error *e)
{
    struct feed_segment list[CHANNEL_SEGMENTS_MAX];
    size_t count;

    if (publisher_build(p, NULL, e) || build_tokens(p, e))
        return 0;
    if (!p->is_changed) {
        start_merge(p);
        return p->generation;
    }
    count = stack_count(p->stack);
    for (size_t i = 0; i < count; i++) {
        const struct stack_segment *s = stack_at(p->stack, i);
        list[i] = (struct feed_segment){.id = s->id, .size = s->size, .fd = s->fd};
    }
    if (feed_publish(p->options.feed, p->generation + 1, list, count, e))
        return 0;
    p->generation++;
    p->is_changed = false;
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
