#include "storage.h"

#include <stdlib.h>

#include "file.h"
#include "memory.h"
#include "reconciler/base/vec.h"

static const struct storage_operations *const operations[] = {
    [STORAGE_MEMORY] = &memory_operations,
    [STORAGE_FILE] = &file_operations,
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

struct storage *storage_open(const struct storage_options *options, struct error *e)
{
    return operations[options->kind]->open(options, e);
}

void storage_close(struct storage *s)
{
    if (s)
        s->operations->close(s);
}

int storage_load(struct storage *s, storage_each *each, void *context,
                 struct storage_problems *problems, struct error *e)
{
    return s->operations->load(s, each, context, problems, e);
}

static int check_step(const struct storage *s, size_t count, struct error *e)
{
    if (s->read_only)
        return error_set(e, ERROR_STORAGE, "the storage is open for reading only");
    if (count > STORAGE_VALUES_MAX)
        return error_set(e, ERROR_LIMIT, "more than %d records in one step", STORAGE_VALUES_MAX);
    return 0;
}

int storage_put(struct storage *s, const struct value *values, size_t count, struct error *e)
{
    if (check_step(s, count, e))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (value_check(&values[i], e))
            return -1;
    return s->operations->put(s, values, count, e);
}

int storage_probe(struct storage *s, size_t room, struct error *e)
{
    if (check_step(s, 0, e))
        return -1;
    return s->operations->probe(s, room < STORAGE_PROBE_MAX ? room : STORAGE_PROBE_MAX, e);
}

int storage_check(struct storage *s, struct error *e)
{
    return s->operations->check ? s->operations->check(s, e) : 0;
}

int storage_restore(struct storage *s, storage_all *all, void *context, struct error *e)
{
    if (check_step(s, 0, e))
        return -1;
    return storage_check(s, e) ? s->operations->restore(s, all, context, e) : 0;
}
