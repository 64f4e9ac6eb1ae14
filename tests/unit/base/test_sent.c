#include "reconciler/base/sent.h"

#include <CUnit/Basic.h>

/* The text as it is read and printed again; "-" where it is no such line. */
static const char *again(const char *text, struct buf *out)
{
    struct str rest = str_from(text);
    struct sent s;
    int rc;

    buf_clear(out);
    while ((rc = sent_next(&rest, &s)) == 1)
        sent_append(out, &s);
    if (rc)
        buf_clear(out);
    if (rc)
        buf_char(out, '-');
    buf_char(out, '\0');
    return out->data;
}

static void lines(void)
{
    static const struct {
        const char *text;
        int count;
    } rows[] = {
        {"", 0},
        {"1764500000", 1},
        {"1764500000 1764586400r 999999999999", 3},
        {"1000000000000", -1}, /* no year that anybody will see */
        {"-1", -1},
        {"1  2", -1},
        {"1r2", -1},
        {"r", -1},
        {"1 x", -1},
        {"1\n2", -1},
    };
    struct buf out = BUF_INIT(SENT_TEXT_MAX);

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        CU_ASSERT_EQUAL(sent_count(str_from(rows[i].text)), rows[i].count);
        CU_ASSERT_STRING_EQUAL(again(rows[i].text, &out), rows[i].count < 0 ? "-" : rows[i].text);
    }
    buf_free(&out);
}

/* As many as may be fit the text; one more is too many. */
static void most(void)
{
    const struct sent last = {.at = 999999999999, .renewal = true};
    struct buf text = BUF_INIT(SENT_TEXT_MAX + 64);

    for (int i = 0; i < SENT_MAX; i++)
        sent_append(&text, &last);
    CU_ASSERT(text.len <= SENT_TEXT_MAX);
    CU_ASSERT_EQUAL(sent_count(buf_view(&text)), SENT_MAX);
    sent_append(&text, &last);
    CU_ASSERT_EQUAL(sent_count(buf_view(&text)), -1);
    buf_free(&text);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("sent", NULL, NULL);
    CU_add_test(suite, "lines", lines);
    CU_add_test(suite, "most", most);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
