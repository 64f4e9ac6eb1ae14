#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "reconciler/acme/order.h"
#include "reconciler/acme/client.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/ca.h"
#include "tests/support/fake_ca.h"

#define ORDER_RUN_NOW_MS (INT64_C(1800000000) * 1000)

extern const struct ca order_run_ca;

/* One order at the fake CA, and the clock that it waits by. */
struct order_run {
    EVP_PKEY *account_key; /* the caller's */
    struct fake_ca *ca;
    struct acme_client *session;
    struct acme_order *order;
    struct buf key;   /* of the certificate, packed */
    bool is_demanded; /* of orders made from now on */
    int64_t now_ms, waited_ms;
    unsigned announcements; /* of newOrders that are about to be sent */
    unsigned saves, publishes, account_saves;
};

/* A CA and a session; the account is known where the CA knows it. */
void order_run_start(struct order_run *r, EVP_PKEY *account_key,
                     const struct fake_ca_options *options);
/* An order in the place of an earlier one; NULL for what is not wanted. */
void order_run_order(struct order_run *r, const char *name, const char *resume,
                     const char *preferred_chain);
void order_run_finish(struct order_run *r);

/* Until the session has nothing more to do for now. */
enum acme_next order_run_session(struct order_run *r);
/* One step of the order. */
enum acme_next order_run_turn(struct order_run *r);
/* Until DONE or FAILED, or (IN_FLIGHT) before the first step of the phase `stop`. */
enum acme_next order_run_to(struct order_run *r, enum acme_phase stop);
enum acme_next order_run(struct order_run *r);
