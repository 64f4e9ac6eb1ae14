#include <CUnit/Basic.h>

#include "reconciler/base/attr.h"
#include "reconciler/control/note.h"

#define SAYS_8000                                                                                  \
    "http-01 asks port 80 of each name; forward it to 8000, or set proxy_listen=0.0.0.0:80, ...; " \
    "port_maps=80:8000 says that it is forwarded"
#define SAYS_NOTHING_PLAIN "http-01 asks port 80 of each name; set proxy_listen=0.0.0.0:80, ..."

static const struct acme enabled = {.enabled = true}, disabled = {.enabled = false};

static void fleeting_prefix(void)
{
    struct buf out = BUF_INIT(1024);

    CU_ASSERT_FALSE(note_fleeting_prefix("/proc", &out));
    CU_ASSERT_FALSE(note_fleeting_prefix("/not there", &out));
    CU_ASSERT_EQUAL(out.len, 0);
    buf_free(&out);
}

static void port_80(void)
{
    static const struct {
        struct settings_listen listens[2];
        size_t count;
        struct settings_port_map maps[2];
        size_t map_count;
        const char *acme_server;
        const struct acme *acme;
        const char *says; /* NULL: nothing */
    } rows[] = {
        {.listens = {{.port = 8000}, {.port = 8443, .ssl = true}},
         .count = 2,
         .acme = &enabled,
         .says = SAYS_8000},
        {.listens = {{.port = 8000}, {.port = 80}}, .count = 2, .acme = &enabled},
        /* TLS on 80 answers no challenge */
        {.listens = {{.port = 8000}, {.port = 80, .ssl = true}},
         .count = 2,
         .acme = &enabled,
         .says = SAYS_8000},
        {.listens = {{.port = 8443, .ssl = true}},
         .count = 1,
         .acme = &enabled,
         .says = SAYS_NOTHING_PLAIN},
        {.acme = &enabled, .says = SAYS_NOTHING_PLAIN},
        /* port_maps: the world's 80, to a plain listener of ours */
        {.listens = {{.port = 8000}},
         .count = 1,
         .maps = {{80, 8000}},
         .map_count = 1,
         .acme = &enabled},
        {.listens = {{.port = 8000}},
         .count = 1,
         .maps = {{443, 8443}, {80, 8001}},
         .map_count = 2,
         .acme = &enabled,
         .says = SAYS_8000},
        /* nobody asks Let's Encrypt, or nobody asks at all */
        {.listens = {{.port = 8000}}, .count = 1, .acme = &enabled, .acme_server = "https://x/"},
        {.listens = {{.port = 8000}}, .count = 1, .acme = &disabled},
        {.listens = {{.port = 8000}}, .count = 1, .acme = NULL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        static struct settings s;
        struct model model = {.acme = rows[i].acme};
        struct buf out = BUF_INIT(1024);

        s = (struct settings){.port_maps = (struct settings_port_map *)rows[i].maps,
                              .port_map_count = rows[i].map_count,
                              .acme_server = (char *)rows[i].acme_server};
        for (size_t k = 0; k < rows[i].count; k++)
            s.proxy_listen.items[s.proxy_listen.count++] = rows[i].listens[k];
        CU_ASSERT_EQUAL(note_http01_port(&s, &model, &out), rows[i].says != NULL);
        CU_ASSERT(str_equal_cstr(buf_view(&out), rows[i].says ? rows[i].says : ""));
        buf_free(&out);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"port 80", port_80}, {"fleeting prefix", fleeting_prefix}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{"note", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
