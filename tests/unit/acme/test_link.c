#include <CUnit/Basic.h>
#include <stdio.h>

#include "reconciler/acme/link.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"

/* Link headers as RFC 8288 has them, and as it has not. */
static void links(void)
{
    static const struct {
        const char *line, *alternates; /* their targets, a blank behind each */
    } rows[] = {
        {"<https://a.test/1>;rel=\"alternate\"", "https://a.test/1 "},
        {"<https://a.test/1>;rel=alternate", "https://a.test/1 "},
        {" < /1 > ; REL = \"Alternate\" ", "/1 "},
        {"</d>;rel=\"index\", </1>;rel=\"alternate\",</2>;rel=alternate", "/1 /2 "},
        {"</1>;rel=\"up alternate next\"", "/1 "},
        {"</1>;rel=\"up\"", ""},
        {"</1>;rel=\"alternates\"", ""},
        {"</1,2;3>;title=\"a, b; rel=up, <x>\";rel=alternate, </2>;rel=up", "/1,2;3 "},
        {"</1>;title=\"say \\\"x\\\", </2>;rel=alternate\";rel=\"up\"", ""},
        {"</1>;title=\"\\\\\";rel=\"alternate\"", "/1 "},
        {"</1>;rel=\"al\\ternate\"", "/1 "},
        {"</1>;rel=up;rel=alternate", ""},
        {"</1>;rel=alternate;rel=up", "/1 "},
        {"</1>;rel=alternate;anchor=\"#x\"", ""},
        {"</1>;;crossorigin;rel=alternate;", "/1 "},
        {",, </1>;rel=alternate ,,", "/1 "},
        {"</1>", ""},
        {"rubbish, </1>;rel=alternate", "/1 "},
        {"x=\"</2>;rel=alternate, \", </1>;rel=alternate", "/1 "},
        {"</1>;rel=\"alternate", "/1 "},
        {"</1;rel=alternate", ""},
        {"<>;rel=alternate", " "},
        {"", ""},
        {";=,;\"", ""},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str rest = str_from(rows[i].line);
        struct buf found = BUF_INIT(1000);
        struct acme_link link;

        buf_cstr(&found, "");
        while (acme_link_next(&rest, &link))
            if (link.is_alternate) {
                buf_str(&found, link.target);
                buf_char(&found, ' ');
            }
        if (!str_equal_cstr(buf_view(&found), rows[i].alternates)) {
            printf("\n%s: %.*s\n", rows[i].line, STR_ARG(buf_view(&found)));
            CU_FAIL("other links");
        }
        buf_free(&found);
    }
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("acme link", NULL, NULL);
    CU_add_test(suite, "links", links);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
