/* What nobody has approved waits; what somebody has is done, whoever brought the plan. */
#include "reconciler/control/approval.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/pki/digest.h"
#include "tests/fakes/controlled.h"
#include "tests/support/suite.h"

#define TEXT_MAX 2048
#define IS(name, state) "\"name\": \"" name "\",\n      \"state\": \"" state "\""

/* A plan as diff --out writes it, of one action: "issue a.test". */
static void print_plan(const char *line, char text[TEXT_MAX])
{
    char lines[128], hash[65], action[16], name[64];

    CU_ASSERT_EQUAL_FATAL(sscanf(line, "%15s %63s", action, name), 2);
    snprintf(lines, sizeof(lines), "%s\n", line);
    CU_ASSERT_EQUAL_FATAL(digest_sha256_hex(str_from(lines), hash), 0);
    snprintf(text, TEXT_MAX,
             "{\"format\":1,\"made_at\":\"2027-01-15T08:00:00Z\",\"hash\":\"%s\",\"actions\":"
             "[{\"action\":\"%s\",\"name\":\"%s\",\"overrides\":null,"
             "\"key_type\":\"ecdsa-p256\"}]}",
             hash, action, name);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CU_ASSERT_FATAL(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void bring(struct controlled *c, const char *line)
{
    char text[TEXT_MAX];
    struct error e;

    print_plan(line, text);
    CU_ASSERT_EQUAL(approval_bring(&c->settings, str_from(text), &e), 0);
}

static void look(struct controlled *c)
{
    controlled_pass(c, 1000 * c->settings.acme_poll_interval);
}

static void brought(void)
{
    static struct controlled c;

    controlled_open(&c, "acme_approve = on\n");
    controlled_write(&c, "domains: [a.test, b.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"approval\""));
    CU_ASSERT_EQUAL(controlled_orders(&c), 0);
    bring(&c, "issue a.test");
    look(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    CU_ASSERT_TRUE(controlled_lists(&c, IS("b.test", "pending")));
    controlled_write(&c, "domains: [b.test]"); /* its retirement waits, too */
    look(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"action\": \"retire\""));
    CU_ASSERT_TRUE(controlled_lists(&c, IS("a.test", "valid")));
    bring(&c, "retire a.test");
    look(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists_not, "\"a.test\""));
    CU_ASSERT_EQUAL(controlled_orders(&c), 1);
    controlled_close(&c);
}

static void by_a_file(void)
{
    static struct controlled c;
    char path[CONTROLLED_PATH_MAX], settings[TEXT_MAX], text[TEXT_MAX];

    snprintf(path, sizeof(path), "/tmp/reconcert-approved-%d", getpid());
    snprintf(settings, sizeof(settings), "acme_approve = %s\n", path);
    controlled_open(&c, settings);
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "approval_file_awaited"));
    write_text(path, "{}");
    look(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "approval_unusable"));
    unlink(path);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    look(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "approval_unusable"));
    CU_ASSERT_EQUAL(rmdir(path), 0);
    CU_ASSERT_EQUAL(controlled_orders(&c), 0);
    print_plan("issue a.test", text);
    write_text(path, text);
    look(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    CU_ASSERT_TRUE(controlled_says_not(&c, "approval_"));
    write_text(path, "no more"); /* what was approved stays so */
    look(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "approval_unusable"));
    unlink(path);
    controlled_close(&c);
}

/* As apply starts it: what is approved is done, then it asks to be stopped. */
static void leaves_when_idle(void)
{
    static struct controlled c;

    controlled_open(&c, NULL);
    bring(&c, "issue a.test");
    controlled_write(&c, "domains: [a.test, b.test]");
    c.options.leaves_when_idle = true;
    controlled_start(&c);
    for (int n = 0; n < CONTROLLED_PATIENCE && !c.told[CHANNEL_STOP]; n++)
        controlled_pass(&c, 20);
    CU_ASSERT_EQUAL(c.told[CHANNEL_STOP], 1);
    CU_ASSERT_TRUE(controlled_lists(&c, IS("a.test", "valid")));
    CU_ASSERT_EQUAL(controlled_orders(&c), 1);
    controlled_close(&c);
}

static void nowhere_to_bring_it(void)
{
    static struct controlled c;
    struct error e;

    controlled_open(&c, NULL);
    CU_ASSERT_EQUAL(rmdir(c.prefix), 0);
    CU_ASSERT_EQUAL(approval_bring(&c.settings, STR("{}"), &e), -1);
    CU_ASSERT_EQUAL(mkdir(c.prefix, 0700), 0);
    controlled_close(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"brought", brought},
        {"by a file", by_a_file},
        {"leaves when idle", leaves_when_idle},
        {"nowhere to bring it", nowhere_to_bring_it},
        CU_TEST_INFO_NULL,
    };

    return suite_run("approval", tests);
}
