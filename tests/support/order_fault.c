#include "tests/support/order_fault.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

void order_fault_check(EVP_PKEY *account_key, const struct order_fault *f)
{
    struct fake_ca_options options = f->options;
    struct order_run r;
    enum acme_next end;
    const struct error *e;

    options.knows_account = true;
    order_run_start(&r, account_key, &options);
    fake_ca_script(r.ca, f->answers, f->answers[1].path ? 2 : f->answers[0].path ? 1 : 0);
    order_run_order(&r, "www.example.com", NULL, options.has_alternates ? "Alternate 2" : NULL);
    end = order_run(&r);
    e = acme_order_error(r.order);
    if ((e ? e->kind : ERROR_NONE) != f->kind || (e && f->text && !strstr(e->message, f->text))) {
        printf("\n%s: %s %s\n%s", f->what, e ? error_kind_name(e->kind) : "done",
               e ? e->message : "", fake_ca_log(r.ca));
        CU_FAIL("another end");
    }
    CU_ASSERT_EQUAL(end, f->kind ? ACME_FAILED : ACME_DONE);
    CU_ASSERT_TRUE(fake_ca_orders(r.ca) <= 1);
    CU_ASSERT_TRUE(r.waited_ms >= f->waited_ms);
    if (e) {
        CU_ASSERT_EQUAL(e->permanent, f->permanent);
        CU_ASSERT_EQUAL(acme_order_is_resumable(r.order), f->resumable);
        CU_ASSERT_EQUAL(e->retry_at, f->retry_in_s ? r.now_ms / 1000 + f->retry_in_s : 0);
        CU_ASSERT_PTR_NULL(acme_order_chain(r.order).ptr);
    }
    order_run_finish(&r);
}
