#include "storage.h"

#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "memory.h"
#include "reconciler/base/vec.h"

static const struct storage_operations *const operations[] = {
    [STORAGE_MEMORY] = &memory_operations,
    [STORAGE_FILE] = &disk_operations,
};

void storage_problems_free(struct storage_problems *p)
{
    vec_free(p);
    p->total = 0;
}

void storage_problem(struct storage_problems *p, const struct error *problem)
{
    p->total++;
    /* When memory is out, too, it is at least counted. */
    if (p->len < STORAGE_PROBLEMS_MAX)
        (void)vec_push(p, *problem);
}

void storage_refused(struct storage_problems *p, const struct value *v, const struct error *why)
{
    struct str who = v->type == VALUE_ACCOUNT ? v->u.account.email : v->subject.name;
    struct error problem = *why;

    problem.kind = ERROR_STORAGE;
    error_prefix(&problem, "%.*s", STR_ARG(str_slice(who, 0, VALUE_NAME_MAX)));
    storage_problem(p, &problem);
}

struct storage *storage_open(struct event_base *base, const struct storage_options *options,
                             const struct storage_face *face, struct error *e)
{
    return operations[options->kind]->open(base, options, face, e);
}

void storage_close(struct storage *s)
{
    if (s)
        s->operations->close(s);
}

bool storage_is_atomic(const struct storage *s)
{
    return s->operations->is_atomic;
}

/* ---- questions ---- */

static void free_ask(struct storage_ask *ask)
{
    arena_free(ask->arena);
    free(ask);
}

static struct storage_ask *new_ask(enum storage_question question, void *context, struct error *e)
{
    struct storage_ask *ask = calloc(1, sizeof(*ask));

    if (ask && (question == STORAGE_GET || question == STORAGE_LIST) &&
        !(ask->arena = arena_new(&(struct arena_options){.secret = true}))) {
        free(ask);
        ask = NULL;
    }
    if (!ask) {
        error_memory(e);
        return NULL;
    }
    ask->question = question;
    ask->context = context;
    return ask;
}

/* A question that writes; NULL with *e. */
static struct storage_ask *new_step(const struct storage *s, enum storage_question question,
                                    storage_done *done, void *context, struct error *e)
{
    struct storage_ask *ask;

    if (s->read_only && question != STORAGE_CHECK) {
        error_set(e, ERROR_STORAGE, "the storage is open for reading only");
        return NULL;
    }
    ask = new_ask(question, context, e);
    if (ask)
        ask->tell.done = done;
    return ask;
}

int storage_put(struct storage *s, const struct storage_change *changes, size_t count,
                storage_done *done, void *context, struct error *e)
{
    struct storage_ask *ask;

    if (count > STORAGE_VALUES_MAX)
        return error_set(e, ERROR_LIMIT, "more than %d records in one step", STORAGE_VALUES_MAX);
    for (size_t i = 0; i < count; i++)
        if (value_check(changes[i].value, e))
            return -1;
    ask = new_step(s, STORAGE_PUT, done, context, e);
    if (!ask)
        return -1;
    ask->u.put.changes = changes;
    ask->u.put.count = count;
    s->operations->ask(s, ask);
    return 0;
}

int storage_get(struct storage *s, const struct value *which, storage_got *got, void *context,
                struct error *e)
{
    struct storage_ask *ask = new_ask(STORAGE_GET, context, e);
    struct buf key = BUF_INIT(VALUE_LOGICAL_KEY_MAX);

    if (!ask)
        return -1;
    ask->tell.got = got;
    ask->u.get.key = value_key(which, &key, e) ? STR_NONE : arena_str(ask->arena, buf_view(&key));
    buf_free(&key);
    if (!ask->u.get.key.ptr) {
        free_ask(ask);
        return -1;
    }
    s->operations->ask(s, ask);
    return 0;
}

int storage_list(struct storage *s, struct str prefix, struct str cursor, size_t max,
                 storage_listed *listed, void *context, struct error *e)
{
    struct storage_ask *ask = new_ask(STORAGE_LIST, context, e);

    if (!ask)
        return -1;
    ask->tell.listed = listed;
    ask->u.list.prefix = arena_str(ask->arena, prefix);
    ask->u.list.cursor = arena_str(ask->arena, cursor);
    ask->u.list.max = max < STORAGE_KEYS_MAX ? max : STORAGE_KEYS_MAX;
    if (!ask->u.list.prefix.ptr || !ask->u.list.cursor.ptr) {
        free_ask(ask);
        return error_memory(e);
    }
    s->operations->ask(s, ask);
    return 0;
}

int storage_probe(struct storage *s, size_t room, storage_done *done, void *context,
                  struct error *e)
{
    struct storage_ask *ask = new_step(s, STORAGE_PROBE, done, context, e);

    if (!ask)
        return -1;
    ask->u.room = room;
    s->operations->ask(s, ask);
    return 0;
}

int storage_check(struct storage *s, storage_done *done, void *context, struct error *e)
{
    struct storage_ask *ask = new_step(s, STORAGE_CHECK, done, context, e);

    if (!ask)
        return -1;
    s->operations->ask(s, ask);
    return 0;
}

int storage_restore(struct storage *s, storage_all *all, void *from, storage_done *done,
                    void *context, struct error *e)
{
    struct storage_ask *ask = new_step(s, STORAGE_RESTORE, done, context, e);

    if (!ask)
        return -1;
    ask->u.restore.all = all;
    ask->u.restore.from = from;
    s->operations->ask(s, ask);
    return 0;
}

/* ---- answers ---- */

void storage_answer(struct storage_ask *ask)
{
    bool is_told = ask->outcome == STORAGE_OK || ask->outcome == STORAGE_CONFLICT;
    const struct error *e = is_told ? NULL : &ask->error;

    if (ask->question == STORAGE_GET)
        ask->tell.got(ask->context, ask->u.get.version.is_there ? &ask->u.get.value : NULL,
                      &ask->u.get.version, e);
    else if (ask->question == STORAGE_LIST)
        ask->tell.listed(ask->context, ask->u.list.keys, ask->u.list.count, ask->u.list.is_whole,
                         e);
    else
        ask->tell.done(ask->context, ask->outcome, e);
    free_ask(ask);
}

void storage_drop(struct storage_asks *asks)
{
    struct storage_ask *ask;

    while ((ask = STAILQ_FIRST(asks))) {
        STAILQ_REMOVE_HEAD(asks, link);
        free_ask(ask);
    }
}

bool storage_holds(const struct storage_change *change, const struct storage_version *now)
{
    if (change->guard == STORAGE_ANY)
        return true;
    if (change->guard == STORAGE_ABSENT || !change->version.is_there)
        return !now->is_there;
    return now->is_there && memcmp(change->version.bytes, now->bytes, sizeof(now->bytes)) == 0;
}

static int compare_keys(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

void storage_take_keys(struct storage_ask *ask, struct str *keys, size_t count)
{
    if (count)
        qsort(keys, count, sizeof(*keys), compare_keys);
    ask->u.list.is_whole = count <= ask->u.list.max;
    ask->u.list.keys = keys;
    ask->u.list.count = ask->u.list.is_whole ? count : ask->u.list.max;
}
