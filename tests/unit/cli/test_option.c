#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/cli/option.h"

#define WORDS_MAX 12

/* A command line (without the program's name) and what it means, as show() prints it. */
struct row {
    const char *words[WORDS_MAX];
    const char *means;
};

static void add(char *out, size_t size, const char *word)
{
    size_t len = strlen(out);

    snprintf(out + len, size - len, "%s%s", len ? " " : "", word);
}

static void show(const struct options *o, char *out, size_t size)
{
    const struct option_row *rows = option_rows();
    char text[64];

    out[0] = '\0';
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        if (option_seen(o, (enum option_id)id))
            add(out, size, rows[id].name);
    add(out, size, "|");
    for (size_t i = 0; i < o->operand_count; i++)
        add(out, size, o->operands[i]);
    CU_ASSERT_PTR_NULL(o->operands[o->operand_count]);
    add(out, size, "|");
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        if (o->values[id] && id != OPTION_NOW && id != OPTION_FORMAT && id != OPTION_CA_OUTAGE &&
            id != OPTION_SET && !rows[id].setting)
            add(out, size, o->values[id]);
    for (size_t i = 0; i < o->outage_count; i++)
        add(out, size, o->outages[i]);
    CU_ASSERT_PTR_NULL(o->outages[o->outage_count]);
    for (size_t i = 0; i < o->assignment_count; i++)
        add(out, size, o->assignments[i]);
    CU_ASSERT_PTR_NULL(o->assignments[o->assignment_count]);
    if (option_seen(o, OPTION_NOW)) {
        snprintf(text, sizeof(text), "%lld", (long long)o->now);
        add(out, size, text);
    }
    if (o->format != OPTION_FORMAT_TEXT)
        add(out, size, option_format_name(o->format));
}

static int parse(struct options *o, const char *const *words, struct error *e)
{
    char *argv[WORDS_MAX + 1] = {(char *)"reconcert"};
    int argc = 1;

    for (; argc <= WORDS_MAX && words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    return option_parse(o, argc, argv, e);
}

static void understood(void)
{
    static const struct row rows[] = {
        {{NULL}, "| |"},
        {{"check"}, "| check |"},
        {{"check", "a", "b"}, "| check a b |"},
        /* options stand anywhere, the verb too */
        {{"check", "--strict", "a"}, "strict | check a |"},
        {{"--strict", "check", "a"}, "strict | check a |"},
        {{"check", "a", "--strict"}, "strict | check a |"},
        {{"explain", "n", "--now", "1970-01-01T00:00:09Z", "f"}, "now | explain n f | 9"},
        /* both ways to give an argument */
        {{"--format=json", "diff"}, "format | diff | json"},
        {{"diff", "--format", "json"}, "format | diff | json"},
        {{"diff", "--format", "markdown"}, "format | diff | markdown"},
        {{"diff", "--format", "json", "--format", "text"}, "format | diff |"},
        {{"--config=a=b", "run"}, "config | run | a=b"},
        {{"--config", "--strict", "run"}, "config | run | --strict"},
        /* letters: alone, glued, together */
        {{"-c", "conf", "run"}, "config | run | conf"},
        {{"-cconf", "run"}, "config | run | conf"},
        {{"-vcconf", "run"}, "config verbose | run | conf"},
        {{"-vc", "conf", "run"}, "config verbose | run | conf"},
        {{"-hV"}, "help version | |"},
        {{"-c", "a", "-c", "b", "run"}, "config | run | b"},
        /* the end of options, and what looks like one */
        {{"check", "--", "--strict", "-c"}, "| check --strict -c |"},
        {{"check", "-", "--", "-", "--"}, "| check - - -- |"},
        {{"--", "check"}, "| check |"},
        {{"check", ""}, "| check  |"},
        /* settings, in order; some options are short for one */
        {{"run", "--set", "a=1", "--set=b=2=3"}, "set | run | a=1 b=2=3"},
        {{"run", "--acme-server", "u", "--set", "acme_server=v"},
         "set acme-server | run | acme_server=u acme_server=v"},
        {{"run", "--acme-trusted-certificate=f"},
         "acme-trusted-certificate | run | acme_trusted_certificate=f"},
        {{"diff", "--exit-code", "--no-color", "-v"}, "exit-code verbose no-color | diff |"},
        {{"simulate", "--days", "3", "--seed=1", "--days=4", "--ca-outage", "1d@2",
          "--ca-outage=b"},
         "days ca-outage seed | simulate | 4 1 1d@2 b"},
        {{"help", "--man", "--completion"}, "man completion | help |"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct options o;
        struct error e;
        char text[512];

        CU_ASSERT_EQUAL_FATAL(parse(&o, rows[i].words, &e), 0);
        show(&o, text, sizeof(text));
        CU_ASSERT_STRING_EQUAL(text, rows[i].means);
        if (strcmp(text, rows[i].means) != 0)
            fprintf(stderr, "row %zu: %s\n", i, text);
        option_fini(&o);
    }
}

static void refused(void)
{
    static const struct row rows[] = {
        {{"check", "--fromat", "json"}, "unknown option \"--fromat\", did you mean --format?"},
        {{"check", "--formt=json"}, "unknown option \"--formt=json\", did you mean --format?"},
        {{"check", "--form"}, "unknown option \"--form\", did you mean --format?"},
        {{"check", "--colour"}, "unknown option \"--colour\""},
        {{"check", "---"}, "unknown option \"---\""},
        {{"check", "-x"}, "unknown option \"-x\""},
        {{"check", "-vx"}, "unknown option \"-vx\""},
        {{"check", "-\x1b[31m"}, "unknown option \"-\x1b[31m\""},
        {{"check", "--strict=yes"}, "--strict takes no argument"},
        {{"check", "--strict="}, "--strict takes no argument"},
        {{"check", "--config"}, "--config needs FILE"},
        {{"check", "-c"}, "--config needs FILE"},
        {{"check", "-c", ""}, "--config: FILE is empty"},
        {{"check", "--config="}, "--config: FILE is empty"},
        {{"check", "--set"}, "--set needs KEY=VALUE"},
        {{"check", "--acme-server="}, "--acme-server: URL is empty"},
        {{"check", "--format", "xml"}, "unknown format \"xml\""},
        {{"check", "--format", "JSON"}, "unknown format \"JSON\""},
        {{"check", "--now", "2026-11-24"},
         "--now takes a time such as 2026-11-24T02:57:00Z, not \"2026-11-24\""},
        {{"check", "--now=now\n"},
         "--now takes a time such as 2026-11-24T02:57:00Z, not \"now\n\""},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct options o;
        struct error e = {.kind = ERROR_NONE};

        CU_ASSERT_EQUAL(parse(&o, rows[i].words, &e), -1);
        CU_ASSERT_EQUAL(e.kind, ERROR_USAGE);
        CU_ASSERT_STRING_EQUAL(e.message, rows[i].means);
        if (strcmp(e.message, rows[i].means) != 0)
            fprintf(stderr, "row %zu: %s\n", i, e.message);
        /* What was understood before stays, for the hint. */
        CU_ASSERT_EQUAL(o.operand_count, 1);
        option_fini(&o);
    }
}

/* OPTION_WORDS_MAX words are taken, one more is not. */
static void too_many_words(void)
{
    char **argv = calloc(OPTION_WORDS_MAX + 2, sizeof(*argv));
    struct options o;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(argv);
    for (int i = 0; i < OPTION_WORDS_MAX + 1; i++)
        argv[i] = (char *)"x";
    CU_ASSERT_EQUAL(option_parse(&o, OPTION_WORDS_MAX, argv, &e), 0);
    CU_ASSERT_EQUAL(o.operand_count, OPTION_WORDS_MAX - 1);
    option_fini(&o);
    CU_ASSERT_EQUAL(option_parse(&o, OPTION_WORDS_MAX + 1, argv, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    option_fini(&o);
    free(argv);
}

/* A long word in an error is cut, not the program's memory. */
static void long_word(void)
{
    char word[4096] = "--";
    const char *const words[] = {"check", word, NULL};
    struct options o;
    struct error e;

    memset(word + 2, '\\', sizeof(word) - 3);
    CU_ASSERT_EQUAL(parse(&o, words, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_USAGE);
    CU_ASSERT(strlen(e.message) < 400);
    option_fini(&o);
}

static void no_program_name(void)
{
    char *argv[] = {NULL};
    struct options o;
    struct error e;

    CU_ASSERT_EQUAL(option_parse(&o, 0, argv, &e), 0);
    CU_ASSERT_EQUAL(o.operand_count, 0);
    option_fini(&o);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"understood", understood},           {"refused", refused},
        {"too many words", too_many_words},   {"long word", long_word},
        {"no program name", no_program_name}, CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"option", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
