#include "reconciler/base/happening.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/log.h"

#define ROOM 3

/* Has room for so many, and reads nothing. */
struct slow {
    struct happening_listener listener;
    size_t count;
    enum happening_name names[ROOM];
    char fields[256]; /* of the last */
};

static bool hear(void *context, const struct happening *h)
{
    struct slow *s = context;
    size_t len = 0;

    if (s->count == ROOM)
        return false;
    s->names[s->count++] = h->name;
    CU_ASSERT(h->at > 0);
    s->fields[0] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(h->fields); i++)
        for (const struct field *f = h->fields[i]; f && f->key; f++)
            len += (size_t)snprintf(s->fields + len, sizeof(s->fields) - len, "%s=%.*s%lld ",
                                    f->key, STR_ARG(f->text), (long long)f->number);
    return true;
}

static void begin(struct slow *s, enum log_level least)
{
    *s = (struct slow){.listener = {.hear = hear, .context = s, .least = least}};
    happening_listen(&s->listener);
}

static void rows(void)
{
    for (int i = 0; i < HAPPENING_NAMES; i++) {
        const char *word = happening_word((enum happening_name)i);
        const char *sentence = happening_sentence((enum happening_name)i);
        int open = 0;

        CU_ASSERT_PTR_NOT_NULL_FATAL(word);
        CU_ASSERT(*word && word[strspn(word, "abcdefghijklmnopqrstuvwxyz_")] == '\0');
        for (int k = 0; k < i; k++)
            CU_ASSERT_STRING_NOT_EQUAL(word, happening_word((enum happening_name)k));
        for (const char *c = sentence; c && *c; c++) {
            open += (*c == '{') - (*c == '}');
            CU_ASSERT(open == 0 || open == 1);
        }
        CU_ASSERT_EQUAL(open, 0);
    }
}

/* It loses what it has no room for, and counts; nobody else loses or waits. */
static void slow_listener(void)
{
    struct slow slow, quick;

    begin(&slow, LOG_DEBUG);
    begin(&quick, LOG_DEBUG);
    for (int i = 0; i < 10; i++) {
        happening_tell(HAPPENING_NOTE, FIELDS(field_int("n", i)));
        quick.count = 0;
    }
    CU_ASSERT_EQUAL(slow.count, ROOM);
    CU_ASSERT_EQUAL(slow.listener.lost, 10 - ROOM);
    CU_ASSERT_STRING_EQUAL(slow.fields, "n=2 ");
    CU_ASSERT_EQUAL(quick.listener.lost, 0);
    CU_ASSERT_STRING_EQUAL(quick.fields, "n=9 ");
    slow.count = 0;
    happening_tell(HAPPENING_STOPPED, NULL);
    CU_ASSERT(slow.count == 1 && slow.names[0] == HAPPENING_STOPPED);
    CU_ASSERT_EQUAL(slow.listener.lost, 10 - ROOM);
    happening_leave(&slow.listener);
    happening_leave(&slow.listener); /* once more is once */
    happening_tell(HAPPENING_STOPPED, NULL);
    CU_ASSERT_EQUAL(slow.count, 1);
    CU_ASSERT_EQUAL(quick.count, 2);
    happening_leave(&quick.listener);
}

static void levels(void)
{
    struct slow s;

    begin(&s, LOG_WARN);
    happening_tell(HAPPENING_NOTE, NULL);
    CU_ASSERT_EQUAL(s.count, 0);
    happening_tell(HAPPENING_CLOCK_JUMPED, NULL);
    happening_tell_as(LOG_INFO, HAPPENING_CHILD_DIED, NULL);
    happening_tell_as(LOG_CRIT, HAPPENING_CHILD_DIED, NULL);
    CU_ASSERT_EQUAL(s.count, 2);
    CU_ASSERT_EQUAL(s.listener.lost, 0);
    happening_leave(&s.listener);
}

static void errors(void)
{
    struct error e;
    struct slow s;

    error_set(&e, ERROR_INVALID, "no good");
    begin(&s, LOG_DEBUG);
    happening_tell_error(HAPPENING_RELOAD_FAILED, &e, FIELDS(field_bool("first", true)));
    CU_ASSERT_STRING_EQUAL(s.fields, "first=true1 error=no good0 kind=invalid0 ");
    happening_leave(&s.listener);
}

int main(void)
{
    CU_TestInfo tests[] = {{"rows", rows},
                           {"slow listener", slow_listener},
                           {"levels", levels},
                           {"errors", errors},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "happening", .pTests = tests}, CU_SUITE_INFO_NULL};

    log_open("test", LOG_CRIT, LOG_KEY_VALUE);
    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
