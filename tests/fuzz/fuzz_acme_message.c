#include <stdint.h>
#include <stdlib.h>

#include "reconciler/acme/authorization.h"
#include "reconciler/acme/directory.h"
#include "reconciler/acme/order_object.h"
#include "reconciler/acme/problem.h"

/* Any body as each kind of answer: read or refused, nothing else. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct http_reply reply = {.status = 200, .body = {(const char *)data, size}};
    struct acme_order_object order = {0};
    struct acme_directory directory = {0};
    struct acme_authorization authorization = {0};
    struct error e;

    if (acme_order_object_read(&order, &reply, &e) == 1 && order.authorization_count > 16)
        abort();
    acme_order_object_fini(&order);
    if (acme_directory_read(&directory, &reply, 0, &e) == 0 && !directory.new_nonce)
        abort();
    acme_directory_fini(&directory);
    if (acme_authorization_read(&authorization, &reply, &e) == ACME_VERDICT_TO_PROVE &&
        (!authorization.token || !authorization.token[0] || !authorization.challenge_url))
        abort();
    acme_authorization_fini(&authorization);
    acme_problem_of_reply(&reply, 0, &e);
    (void)acme_problem_peek(&reply);
    return 0;
}
