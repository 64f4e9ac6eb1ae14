#include "reconciler/acme/directory.h"

#include <stdlib.h>

#include "reconciler/acme/message.h"
#include "reconciler/acme/problem.h"

static int copy_all(struct acme_directory *d, const struct acme_directory_message *m)
{
    d->external_account_required = m->external_account_required;
    if (str_keep(&d->new_nonce, m->new_nonce) || str_keep(&d->new_account, m->new_account) ||
        str_keep(&d->new_order, m->new_order))
        return -1;
    return str_keep(&d->terms_of_service, m->terms_of_service);
}

int acme_directory_read(struct acme_directory *d, const struct http_reply *reply, int64_t now_ms,
                        struct error *e)
{
    struct acme_message m = {0};
    struct acme_directory_message found;
    struct acme_directory read = {0};
    int result = -1;

    if (reply->status != 200)
        return acme_problem_of_reply(reply, now_ms, e);
    if (acme_message_parse(reply->body, &m, e) || acme_message_directory(&m, &found, e))
        goto out;
    if (copy_all(&read, &found)) {
        acme_directory_fini(&read);
        error_memory(e);
        goto out;
    }
    acme_directory_fini(d);
    *d = read;
    result = 0;
out:
    acme_message_free(&m);
    return result;
}

bool acme_directory_is_read(const struct acme_directory *d)
{
    return d->new_order != NULL;
}

void acme_directory_fini(struct acme_directory *d)
{
    free(d->new_nonce);
    free(d->new_account);
    free(d->new_order);
    free(d->terms_of_service);
    *d = (struct acme_directory){0};
}
