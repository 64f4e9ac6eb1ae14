#include "tests/support/order_run.h"

#include <CUnit/Basic.h>

#include "reconciler/pki/key.h"

#define TURNS_MAX 5000

const struct ca order_run_ca = {.directory = STR_INIT(FAKE_CA_DIRECTORY),
                                .email = STR_INIT("a@example.com")};

void order_run_start(struct order_run *r, EVP_PKEY *account_key,
                     const struct fake_ca_options *given)
{
    struct fake_ca_options options = *given;
    struct acme_client_options session = {
        .ca = &order_run_ca,
        .account_key = account_key,
        .terms_agreed = true,
    };
    struct error e;

    options.account_key = account_key;
    *r = (struct order_run){
        .account_key = account_key, .now_ms = ORDER_RUN_NOW_MS, .key = BUF_SECRET(KEY_PACKED_MAX)};
    CU_ASSERT_EQUAL_FATAL(key_generate_packed(KEY_P256, &r->key, &e), 0);
    r->ca = fake_ca_new(&options);
    if (options.knows_account)
        session.account_url = STR("https://ca.test/account/1");
    r->session = acme_client_new(&session, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(r->session);
}

void order_run_order(struct order_run *r, const char *name, const char *resume,
                     const char *preferred_chain)
{
    struct ca ca = order_run_ca;
    const struct acme_order_options options = {
        .session = r->session,
        .name = str_from(name),
        .key_type = KEY_P256,
        .key = buf_view(&r->key),
        .resume = str_from(resume),
        .ca = &ca,
        .is_demanded = r->is_demanded,
    };
    struct error e;

    acme_order_free(r->order);
    r->announcements = 0;
    ca.preferred_chain = str_from(preferred_chain);
    r->order = acme_order_new(&options, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(r->order);
}

void order_run_finish(struct order_run *r)
{
    acme_order_free(r->order);
    acme_client_free(r->session);
    fake_ca_free(r->ca);
    buf_free(&r->key);
}

enum acme_next order_run_session(struct order_run *r)
{
    struct acme_step step;
    struct http_reply reply;
    struct error e;
    enum acme_next next;

    for (int i = 0; i < TURNS_MAX; i++) {
        next = acme_client_next(r->session, r->now_ms, &step);
        switch (next) {
        case ACME_SEND:
            if (fake_ca_handle(r->ca, &step.request, &reply, &e))
                acme_client_reply(r->session, step.exchange, &reply, r->now_ms);
            else
                acme_client_no_reply(r->session, step.exchange, &e, r->now_ms);
            break;
        case ACME_SAVE:
            r->account_saves++;
            acme_client_saved(r->session);
            break;
        case ACME_WAIT:
            CU_ASSERT_TRUE(step.at_ms > r->now_ms);
            r->now_ms = step.at_ms;
            break;
        default:
            return next;
        }
    }
    CU_FAIL("the session does not come to an end");
    return next;
}

static void exchange(struct order_run *r, const struct acme_step *step)
{
    struct http_reply reply;
    struct error e;
    struct acme_step again;

    /* It is under way: nothing else may be asked of it. */
    CU_ASSERT_EQUAL(acme_order_next(r->order, r->now_ms, &again), ACME_IN_FLIGHT);
    if (fake_ca_handle(r->ca, &step->request, &reply, &e))
        acme_order_reply(r->order, &reply, r->now_ms);
    else
        acme_order_no_reply(r->order, &e, r->now_ms);
}

enum acme_next order_run_turn(struct order_run *r)
{
    struct acme_step step;
    enum acme_next next = acme_order_next(r->order, r->now_ms, &step);

    switch (next) {
    case ACME_SEND:
        exchange(r, &step);
        break;
    case ACME_WAIT:
        CU_ASSERT_TRUE(step.at_ms > r->now_ms);
        r->waited_ms += step.at_ms - r->now_ms;
        r->now_ms = step.at_ms;
        break;
    case ACME_WAIT_SESSION:
        order_run_session(r);
        break;
    case ACME_SAVE:
        if (acme_order_url(r->order).ptr)
            r->saves++;
        else /* each newOrder, before it is sent */
            r->announcements++;
        acme_order_saved(r->order);
        break;
    case ACME_PUBLISH:
        fake_ca_publish(r->ca, step.token, step.answer);
        CU_ASSERT_TRUE(str_ends(step.answer, acme_client_thumbprint(r->session)));
        r->publishes++;
        acme_order_published(r->order);
        break;
    default:
        break;
    }
    return next;
}

enum acme_next order_run_to(struct order_run *r, enum acme_phase stop)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        enum acme_next next;

        if (acme_order_phase(r->order) == stop && stop != ACME_PHASE_DONE)
            return ACME_IN_FLIGHT;
        next = order_run_turn(r);
        if (next == ACME_DONE || next == ACME_FAILED || next == ACME_IN_FLIGHT)
            return next;
    }
    CU_FAIL("the order does not come to an end");
    return ACME_IN_FLIGHT;
}

enum acme_next order_run(struct order_run *r)
{
    return order_run_to(r, ACME_PHASE_DONE);
}
