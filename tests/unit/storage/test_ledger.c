/* What is counted while writing must be what a fresh reading counts. */
#include "reconciler/storage/ledger.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/storage/compaction.h"
#include "reconciler/storage/packed.h"
#include "reconciler/storage/replay.h"
#include "tests/support/scratch.h"

#define KEYS 40
#define CHAINS 6

struct bench {
    char scratch[SCRATCH_PATH_MAX];
    int directory;
    struct ledger ledger;
    uint64_t seed;
};

static void begin(struct bench *b)
{
    struct error e;

    scratch_make(b->scratch);
    b->directory = open(b->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    b->seed = 4;
    ledger_init(&b->ledger);
    CU_ASSERT_EQUAL_FATAL(ledger_create(&b->ledger, b->directory, "log", NULL, &e), 0);
}

static void end(struct bench *b)
{
    ledger_fini(&b->ledger);
    close(b->directory);
    scratch_remove(b->scratch);
}

static unsigned dice(struct bench *b, unsigned sides)
{
    b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(b->seed >> 33) % sides;
}

static struct str key_of(unsigned number, char room[32])
{
    snprintf(room, 32, "kong_acme:cert_key:n%u", number);
    return str_from(room);
}

/* The packed beginnings of a credential are all that a ledger looks at. */
static int add(struct bench *b, struct ledger_batch *batch)
{
    char payload[600] = {VALUE_CREDENTIAL, 0}, chain[900], room[32];
    unsigned char id[PACKED_CHAIN_ID];
    unsigned which = dice(b, CHAINS);
    struct str key = key_of(dice(b, KEYS), room);
    bool is_put = dice(b, 4) > 0;
    struct error e;
    size_t start;

    if (is_put && which) {
        memset(id, (int)which, sizeof(id));
        memset(chain, (int)which, sizeof(chain));
        payload[1] = 1 << 2;
        memcpy(payload + 2, id, sizeof(id));
        if (ledger_add_chain(&b->ledger, batch, id, (struct str){chain, 300 + 100 * which}, &e))
            return -1;
    }
    start = ledger_begin(batch, is_put ? APPEND_LOG_PUT : APPEND_LOG_DELETE, key, &e);
    if (start == SIZE_MAX)
        return -1;
    if (is_put)
        buf_append(&batch->bytes, payload, 40 + dice(b, 500));
    return ledger_finish(&b->ledger, batch, start, &e);
}

static int write_step(struct bench *b)
{
    struct ledger_batch batch;
    struct error e;
    int rc = 0;

    ledger_batch_init(&b->ledger, &batch);
    for (unsigned i = dice(b, 5) + 1; i > 0; i--)
        rc |= add(b, &batch);
    rc |= ledger_write(&b->ledger, &batch, true, &e);
    ledger_batch_free(&batch);
    return rc;
}

static size_t users_of(const struct ledger *l)
{
    const struct ledger_chain *c;
    size_t cursor = 0, users = 0;

    while ((c = map_next(&l->chains, &cursor)))
        users += c->users * c->id[0] + (c->users ? c->size : 0) * 1000;
    return users;
}

static void expect_same_when_read(struct bench *b)
{
    struct storage_problems problems = {0};
    struct replay r = {0};
    struct ledger fresh;
    struct error e;

    ledger_init(&fresh);
    memcpy(fresh.marker, b->ledger.marker, sizeof(fresh.marker));
    fresh.fd = openat(b->directory, "log", O_RDONLY | O_CLOEXEC);
    CU_ASSERT(replay_note(&r, &fresh, b->ledger.end, &problems, &e) == 0);
    CU_ASSERT(problems.total == 0);
    CU_ASSERT(fresh.end == b->ledger.end);
    CU_ASSERT(fresh.live.len == b->ledger.live.len);
    CU_ASSERT(fresh.live_bytes == b->ledger.live_bytes);
    CU_ASSERT(users_of(&fresh) == users_of(&b->ledger));
    for (unsigned i = 0; i < KEYS; i++) {
        char room[32];
        struct str key = key_of(i, room);
        CU_ASSERT(ledger_has(&fresh, key, &e) == ledger_has(&b->ledger, key, &e));
    }
    replay_fini(&r);
    ledger_fini(&fresh);
    storage_problems_free(&problems);
}

static void test_counting(void)
{
    struct bench b;

    begin(&b);
    for (int i = 0; i < 400; i++) {
        CU_ASSERT(write_step(&b) == 0);
        if (i % 20 == 0)
            expect_same_when_read(&b);
    }
    expect_same_when_read(&b);
    CU_ASSERT(ledger_garbage(&b.ledger) + b.ledger.live_bytes + APPEND_LOG_HEADER_SIZE ==
              b.ledger.end);
    end(&b);
}

/* A compaction in small steps while the log is written to: nothing is lost, nothing comes back. */
static void test_compaction_in_steps(void)
{
    struct compaction *c;
    struct bench b;
    struct error e;

    begin(&b);
    for (int round = 0; round < 20; round++) {
        uint64_t before;
        int more = 1;
        for (int i = 0; i < 50; i++)
            CU_ASSERT(write_step(&b) == 0);
        before = b.ledger.end;
        c = compaction_begin(&b.ledger, b.directory, &e);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        for (int i = 0; more > 0; i++) {
            more = compaction_step(c, &b.ledger, 700, &e);
            if (more > 0 && i < 12)
                CU_ASSERT(write_step(&b) == 0);
        }
        CU_ASSERT(more == 0);
        if (round % 4 == 3) {
            compaction_abort(c);
            CU_ASSERT(faccessat(b.directory, COMPACTION_NAME, F_OK, 0) != 0);
        } else {
            CU_ASSERT(compaction_finish(c, &b.ledger, "log", &e) == 0);
            CU_ASSERT(b.ledger.end < before);
        }
        expect_same_when_read(&b);
    }
    end(&b);
}

static void test_limits(void)
{
    static char big[APPEND_LOG_KEY_MAX + 1];
    struct ledger_batch batch;
    struct bench b;
    struct error e;
    size_t start;

    begin(&b);
    memset(big, 'x', sizeof(big));
    ledger_batch_init(&b.ledger, &batch);
    CU_ASSERT(ledger_begin(&batch, APPEND_LOG_PUT, (struct str){big, sizeof(big)}, &e) == SIZE_MAX);
    CU_ASSERT(e.kind == ERROR_LIMIT);
    start = ledger_begin(&batch, APPEND_LOG_PUT, STR("k"), &e);
    while (batch.bytes.len - start - APPEND_LOG_HEAD_SIZE <= APPEND_LOG_BODY_MAX)
        buf_append(&batch.bytes, big, 4096);
    CU_ASSERT(ledger_finish(&b.ledger, &batch, start, &e) == -1 && e.kind == ERROR_LIMIT);
    /* What did not fit leaves no trace, neither in the batch nor in the log. */
    CU_ASSERT(batch.bytes.len == 0);
    CU_ASSERT(ledger_write(&b.ledger, &batch, true, &e) == 0);
    CU_ASSERT(b.ledger.end == APPEND_LOG_HEADER_SIZE);
    ledger_batch_free(&batch);
    end(&b);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("storage/ledger", NULL, NULL);
    CU_add_test(suite, "counting", test_counting);
    CU_add_test(suite, "compaction in steps", test_compaction_in_steps);
    CU_add_test(suite, "limits", test_limits);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
