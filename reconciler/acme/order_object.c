#include "reconciler/acme/order_object.h"

#include <stdlib.h>

#include "reconciler/acme/problem.h"

static bool has_authorization(const struct acme_order_object *o, struct str url)
{
    for (size_t i = 0; i < o->authorization_count; i++)
        if (str_equal_cstr(url, o->authorizations[i].url))
            return true;
    return false;
}

/*
 * The list does not change in an order's life: only the first one counts. What is in it twice is
 * answered once, for a CA takes no second answer.
 */
static int keep_authorizations(struct acme_order_object *o, const struct acme_order_message *m)
{
    if (o->authorization_count)
        return 0;
    for (size_t i = 0; i < m->authorization_count; i++) {
        if (has_authorization(o, m->authorizations[i]))
            continue;
        if (acme_authorization_init(&o->authorizations[o->authorization_count],
                                    m->authorizations[i]))
            return -1;
        o->authorization_count++;
    }
    return 0;
}

/* An order gets that far with every authorization valid, whatever was seen of them before. */
static void mark_proven(struct acme_order_object *o)
{
    if (o->status != ACME_STATUS_READY && o->status != ACME_STATUS_PROCESSING &&
        o->status != ACME_STATUS_VALID)
        return;
    for (size_t i = 0; i < o->authorization_count; i++)
        o->authorizations[i].status = ACME_STATUS_VALID;
}

int acme_order_object_read(struct acme_order_object *o, const struct http_reply *reply,
                           struct error *e)
{
    struct acme_message m = {0};
    struct acme_order_message found;
    int result = 0;

    if (acme_message_parse(reply->body, &m, e) || acme_message_order(&m, &found, e))
        goto out;
    o->status = found.status;
    if (acme_problem_is_set(&found.problem))
        acme_problem_of_object(&found.problem, ERROR_CHALLENGE, &o->error);
    result = 1;
    if (str_keep(&o->finalize_url, found.finalize) ||
        str_keep(&o->certificate_url, found.certificate) || keep_authorizations(o, &found))
        result = error_memory(e);
    mark_proven(o);
out:
    acme_message_free(&m);
    return result;
}

void acme_order_object_fini(struct acme_order_object *o)
{
    while (o->authorization_count)
        acme_authorization_fini(&o->authorizations[--o->authorization_count]);
    free(o->url);
    free(o->finalize_url);
    free(o->certificate_url);
    *o = (struct acme_order_object){0};
}
