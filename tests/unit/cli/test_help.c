#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/cli/text/completion.h"
#include "reconciler/cli/verbs/help.h"
#include "reconciler/cli/text/manual.h"
#include "reconciler/cli/text/paragraph.h"
#include "reconciler/cli/verb.h"
#include "reconciler/settings/settings.h"
#include "tests/support/golden.h"

#define TEXT_MAX ((size_t)1 << 20)

static bool holds(const struct buf *text, const char *word)
{
    return text->len && memmem(text->data, text->len, word, strlen(word));
}

/* No line of help is wider than a terminal, but for settings' defaults, which are not broken. */
static void check_width(const struct buf *text)
{
    struct str rest = buf_view(text);

    while (rest.ptr && rest.len) {
        struct str line = str_cut(rest, '\n', &rest);
        CU_ASSERT(line.len <= PARAGRAPH_WIDTH);
        CU_ASSERT(!line.len || line.ptr[line.len - 1] != ' ');
    }
}

static void overview(void)
{
    struct buf out = BUF_INIT(TEXT_MAX);

    help_print_overview(&out);
    CU_ASSERT(golden_matches("tests/golden/cli/help.txt", buf_view(&out)));
    check_width(&out);
    buf_free(&out);
}

static void every_verb(void)
{
    for (const struct verb *v = verb_rows(); v->name; v++) {
        struct buf out = BUF_INIT(TEXT_MAX);
        char path[128];

        help_print_verb(v, &out);
        snprintf(path, sizeof(path), "tests/golden/cli/help-%s.txt", v->name);
        CU_ASSERT(golden_matches(path, buf_view(&out)));
        check_width(&out);
        buf_free(&out);
    }
}

/* The golden page leaves the settings out: their own table has its own tests. */
static struct str without_settings(struct buf *page, struct buf *out)
{
    static const char from[] = ".Sh SETTINGS\n", to[] = ".Sh ENVIRONMENT\n";
    char *start = memmem(page->data, page->len, from, sizeof(from) - 1);
    char *end = memmem(page->data, page->len, to, sizeof(to) - 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(start);
    CU_ASSERT_PTR_NOT_NULL_FATAL(end);
    buf_append(out, page->data, (size_t)(start - page->data));
    buf_append(out, end, page->len - (size_t)(end - page->data));
    return buf_view(out);
}

static void manual(void)
{
    struct buf page = BUF_INIT(TEXT_MAX), part = BUF_INIT(TEXT_MAX);

    manual_print(&page);
    CU_ASSERT(golden_matches("tests/golden/cli/reconcert.1", without_settings(&page, &part)));
    buf_free(&part);
    buf_free(&page);
}

/* Nothing that a table knows is missing anywhere. */
static void complete(void)
{
    struct buf page = BUF_INIT(TEXT_MAX), settings = BUF_INIT(TEXT_MAX), bash = BUF_INIT(TEXT_MAX);
    const struct option_row *options = option_rows();
    char word[128];

    manual_print(&page);
    help_print_settings(&settings);
    completion_print(&bash);
    for (const struct settings_row *row = settings_rows(); row->name; row++) {
        snprintf(word, sizeof(word), ".It Va \"\\&%s\"", row->name);
        CU_ASSERT(holds(&page, word));
        snprintf(word, sizeof(word), "\n%s", row->name);
        CU_ASSERT(holds(&settings, word));
        CU_ASSERT(holds(&bash, row->name));
    }
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        bool is_taken = id == OPTION_VERSION; /* it stands for the verb */
        for (const struct verb *v = verb_rows(); v->name; v++)
            is_taken |= (v->options & OPTION_BIT(id)) != 0;
        CU_ASSERT(is_taken);
        snprintf(word, sizeof(word), "--%s ", options[id].name);
        CU_ASSERT(holds(&bash, word) || id == OPTION_VERSION);
    }
    buf_free(&bash);
    buf_free(&settings);
    buf_free(&page);
}

/* The tables themselves: what help says must be possible, and said once. */
static void tables(void)
{
    const struct option_row *options = option_rows();

    for (const struct verb *v = verb_rows(); v->name; v++) {
        CU_ASSERT_PTR_EQUAL(verb_find(v->name), v);
        CU_ASSERT_EQUAL(v->exits[0].code, VERB_DONE);
        CU_ASSERT(v->operand_min <= v->operand_max);
        CU_ASSERT_EQUAL(v->operand_max > 0, *v->operands != '\0');
        CU_ASSERT_EQUAL(v->formats != 0, (v->options & OPTION_BIT(OPTION_FORMAT)) != 0);
        CU_ASSERT_EQUAL(strchr(v->summary, '\n'), NULL);
        for (size_t i = 1; i < VERB_EXITS_MAX && v->exits[i].text; i++)
            CU_ASSERT(v->exits[i].code > v->exits[i - 1].code);
    }
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(options[id].name);
        CU_ASSERT_PTR_NOT_NULL(options[id].help);
        for (unsigned other = 0; other < id; other++) {
            CU_ASSERT(strcmp(options[id].name, options[other].name) != 0);
            CU_ASSERT(!options[id].letter || options[id].letter != options[other].letter);
        }
    }
    CU_ASSERT_PTR_NULL(verb_find("control"));
    CU_ASSERT_PTR_NULL(verb_find(""));
}

static void paragraph(void)
{
    static const struct {
        const char *text;
        size_t indent, column;
        const char *printed;
    } rows[] = {
        {"", 0, 0, "\n"},
        {"a b", 4, 0, "a b\n"},
        {"a\nb", 4, 0, "a b\n"},
        {"a\n\nb", 2, 0, "a\n\n  b\n"},
        {"1234567890 1234567890", 2, 70, "1234567890\n  1234567890\n"},
        {"1234567890 123456789", 2, 61, "1234567890\n  123456789\n"},
        {"1234567890 12345678", 2, 61, "1234567890 12345678\n"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = BUF_INIT(TEXT_MAX);
        paragraph_print(str_from(rows[i].text), rows[i].indent, rows[i].column, &out);
        CU_ASSERT_STRING_EQUAL(out.data, rows[i].printed);
        buf_free(&out);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"overview", overview}, {"every verb", every_verb}, {"manual", manual},
        {"complete", complete}, {"tables", tables},         {"paragraph", paragraph},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"help", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
