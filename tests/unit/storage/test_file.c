#include "reconciler/storage/file.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/buf.h"
#include "tests/support/scratch.h"
#include "tests/support/storage_model.h"
#include "tests/support/value_sample.h"

#define PATH_MAX_HERE 256
#define LOG_MAX ((size_t)64 << 20)

/* A storage under a prefix of its own, and what it should hold. */
struct bench {
    char scratch[SCRATCH_PATH_MAX];
    char prefix[PATH_MAX_HERE];
    struct file *storage;
    struct storage_model model;
    struct storage_problems problems;
};

static struct file *open_at(const char *prefix, bool read_only, struct error *e)
{
    return file_open(prefix, read_only, e);
}

/* Opens and loads; the loaded contents are compared with the model. False: they differ. */
static bool reopen(struct bench *b, bool read_only)
{
    struct storage_model loaded;
    struct error e;

    file_close(b->storage);
    storage_problems_free(&b->problems);
    b->storage = open_at(b->prefix, read_only, &e);
    if (!b->storage || storage_model_load(&loaded, &b->model, b->storage, &b->problems, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return false;
    }
    return storage_model_differences(&loaded, &b->model, NULL) == 0;
}

static void begin(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    scratch_make(b->scratch);
    snprintf(b->prefix, sizeof(b->prefix), "%s/prefix", b->scratch);
    CU_ASSERT(reopen(b, false));
}

static void end(struct bench *b)
{
    file_close(b->storage);
    storage_problems_free(&b->problems);
    scratch_remove(b->scratch);
}

static int put(struct bench *b, const struct value *values, size_t count)
{
    struct error e;

    if (file_put_values(b->storage, values, count, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        storage_model_put(&b->model, &values[i]);
    return 0;
}

static int put_sample(struct bench *b, enum value_type type, unsigned name, uint64_t seed)
{
    struct value_sample s;

    value_sample_make(&s, type, name, seed, 300);
    return put(b, &s.v, 1);
}

/* prefix/storage/<name> */
static const char *path_of(const struct bench *b, const char *name)
{
    static char path[PATH_MAX_HERE + 32];

    snprintf(path, sizeof(path), "%s/storage/%s", b->prefix, name);
    return path;
}

static void read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY);
    ssize_t got;

    *out = BUF_INIT(LOG_MAX);
    while (fd >= 0 && buf_reserve(out, 65536) && (got = read(fd, out->data + out->len, 65536)) > 0)
        buf_commit(out, (size_t)got);
    close(fd);
}

static void write_file(const char *path, struct str bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, bytes.ptr, bytes.len) != (ssize_t)bytes.len)
        BUG("no file");
    close(fd);
}

static size_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (size_t)st.st_size;
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : st.st_mode & 07777;
}

/* ---- */

static void test_round_trip(void)
{
    struct bench b;

    begin(&b);
    for (int type = VALUE_ACCOUNT; type < VALUE_TYPE_COUNT; type++)
        for (unsigned name = 1; name < 5; name++)
            CU_ASSERT(put_sample(&b, (enum value_type)type, name, name * 10 + (unsigned)type) == 0);
    CU_ASSERT(reopen(&b, false));
    CU_ASSERT(b.problems.total == 0);
    CU_ASSERT(reopen(&b, true));
    end(&b);
}

static void test_modes(void)
{
    static const mode_t masks[] = {0, 022, 077, 0777};

    for (size_t i = 0; i < ARRAY_LENGTH(masks); i++) {
        mode_t before = umask(masks[i]);
        struct bench b;
        struct error e;
        char deep[PATH_MAX_HERE + 16];
        begin(&b);
        CU_ASSERT(put_sample(&b, VALUE_ORDER, 1, 1) == 0);
        CU_ASSERT(mode_of(b.prefix) == 0700);
        CU_ASSERT(mode_of(path_of(&b, "")) == 0700);
        CU_ASSERT(mode_of(path_of(&b, "log")) == 0600);
        /* Parents too, and with a slash at the end. */
        file_close(b.storage);
        snprintf(deep, sizeof(deep), "%s/a/b/", b.scratch);
        b.storage = open_at(deep, false, &e);
        CU_ASSERT_PTR_NOT_NULL(b.storage);
        CU_ASSERT(mode_of(deep) == 0700);
        snprintf(deep, sizeof(deep), "%s/a", b.scratch);
        CU_ASSERT(mode_of(deep) == 0700);
        end(&b);
        umask(before);
    }
}

/* A log that somebody copied with open permissions is closed again. */
static void test_mode_is_repaired(void)
{
    struct bench b;

    begin(&b);
    CU_ASSERT(chmod(path_of(&b, "log"), 0644) == 0);
    CU_ASSERT(reopen(&b, true));
    CU_ASSERT(mode_of(path_of(&b, "log")) == 0644);
    CU_ASSERT(reopen(&b, false));
    CU_ASSERT(mode_of(path_of(&b, "log")) == 0600);
    end(&b);
}

static void test_appends_are_small(void)
{
    struct value_sample s;
    struct bench b;
    size_t before;

    begin(&b);
    for (unsigned i = 1; i <= 4; i++)
        CU_ASSERT(put_sample(&b, VALUE_CREDENTIAL, i, 1) == 0);
    before = size_of(path_of(&b, "log"));
    /* The chain is there twice by now: what is added is the leaf, the key and some facts. */
    value_sample_make(&s, VALUE_CREDENTIAL, 5, 1, 300);
    CU_ASSERT(s.v.u.credential.chain.len > 0);
    CU_ASSERT(put(&b, &s.v, 1) == 0);
    CU_ASSERT(size_of(path_of(&b, "log")) - before < 300 + 32 + 300);
    end(&b);
}

static void random_step(struct bench *b, uint64_t *seed)
{
    struct value_sample samples[3];
    struct value values[3];
    size_t count = 1 + *seed % 3;

    for (size_t i = 0; i < count; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        value_sample_make(&samples[i], (enum value_type)(1 + *seed / 7 % 5),
                          (unsigned)(*seed >> 33) % 9, *seed, 100 + (*seed >> 40) % 20000);
        values[i] = samples[i].v;
        values[i].gone = (*seed >> 50) % 5 == 0;
    }
    CU_ASSERT(put(b, values, count) == 0);
}

/* Against a plain table, with restarts; the log is compacted several times meanwhile. */
static void test_random(void)
{
    struct bench b;
    uint64_t seed = 20;
    size_t before, shrunk = 0;

    begin(&b);
    before = size_of(path_of(&b, "log"));
    for (int i = 0; i < 1500; i++) {
        size_t size;
        random_step(&b, &seed);
        size = size_of(path_of(&b, "log"));
        shrunk += size < before;
        before = size;
        if (seed >> 58 == 1 || i % 300 == 299)
            CU_ASSERT(reopen(&b, seed & 1) && reopen(&b, false));
        CU_ASSERT(b.problems.total == 0);
    }
    CU_ASSERT(shrunk >= 3);
    CU_ASSERT(reopen(&b, false));
    CU_ASSERT(access(path_of(&b, "log.new"), F_OK) != 0);
    CU_ASSERT(access(path_of(&b, "damaged"), F_OK) != 0);
    end(&b);
}

/* A small log with everything in it: the state after each put, and where that put ended. */
struct history {
    struct storage_model states[24];
    size_t ends[24];
    size_t count;
};

static void note_state(struct history *h, const struct bench *b)
{
    h->states[h->count] = b->model;
    h->ends[h->count++] = size_of(path_of(b, "log"));
}

static void make_history(struct bench *b, struct history *h)
{
    struct value_sample s[3];
    struct value batch[3];

    h->count = 0;
    note_state(h, b);
    for (unsigned i = 1; i <= 4; i++) {
        CU_ASSERT(put_sample(b, VALUE_CREDENTIAL, i, i) == 0);
        note_state(h, b);
    }
    CU_ASSERT(put_sample(b, VALUE_ACCOUNT, 1, 1) == 0);
    note_state(h, b);
    for (unsigned i = 0; i < 3; i++) {
        value_sample_make(&s[i], VALUE_ORDER, 10 + i, i, 0);
        batch[i] = s[i].v;
    }
    CU_ASSERT(put(b, batch, 3) == 0);
    note_state(h, b);
    /* An order is done: its certificate comes, its journal and the failures go. */
    value_sample_make(&s[0], VALUE_CREDENTIAL, 10, 77, 300);
    batch[0] = s[0].v;
    batch[1].gone = true;
    value_sample_make(&s[2], VALUE_FAILURE, 10, 0, 0);
    batch[2] = s[2].v;
    batch[2].gone = true;
    CU_ASSERT(put(b, batch, 3) == 0);
    note_state(h, b);
    CU_ASSERT(put_sample(b, VALUE_CREDENTIAL, 2, 99) == 0);
    note_state(h, b);
    CU_ASSERT(put_sample(b, VALUE_DEMAND, 3, 5) == 0);
    note_state(h, b);
}

static void test_cut_anywhere(void)
{
    struct bench b;
    struct history h;
    struct buf log;
    size_t state = 0;

    begin(&b);
    make_history(&b, &h);
    read_file(path_of(&b, "log"), &log);
    CU_ASSERT(log.len == h.ends[h.count - 1]);
    for (size_t cut = 0; cut <= log.len; cut++) {
        while (state + 1 < h.count && h.ends[state + 1] <= cut)
            state++;
        file_close(b.storage);
        b.storage = NULL;
        write_file(path_of(&b, "log"), (struct str){log.data, cut});
        b.model = h.states[state];
        if (!reopen(&b, true) || b.problems.total || !reopen(&b, false) || b.problems.total) {
            fprintf(stderr, "cut at byte %zu\n", cut);
            CU_FAIL("not the state after the last whole step");
            break;
        }
        if (cut % 16)
            continue;
        CU_ASSERT(put_sample(&b, VALUE_ORDER, 30, cut) == 0);
        CU_ASSERT(reopen(&b, false));
    }
    CU_ASSERT(state == h.count - 1);
    CU_ASSERT(access(path_of(&b, "damaged"), F_OK) != 0);
    buf_free(&log);
    end(&b);
}

/* Has the key of this row ever had this value, or none? */
static bool is_past(const struct history *h, size_t row, const char *text)
{
    if (!*text)
        return true;
    for (size_t i = 0; i < h->count; i++)
        if (row < h->states[i].count && strcmp(h->states[i].rows[row].text, text) == 0)
            return true;
    return false;
}

/* Loads a damaged log. False: a wrong value, more than one key hit, or nothing was said. */
static bool survives(struct bench *b, const struct history *h, struct storage_model *loaded,
                     size_t *lost)
{
    const struct storage_model *last = &h->states[h->count - 1];
    size_t row = 0;
    struct error e;

    file_close(b->storage);
    storage_problems_free(&b->problems);
    b->storage = open_at(b->prefix, false, &e);
    if (!b->storage || storage_model_load(loaded, last, b->storage, &b->problems, &e))
        return false;
    *lost = storage_model_differences(loaded, last, &row);
    return b->problems.total > 0 && *lost <= 1 && loaded->count == last->count &&
           is_past(h, row, loaded->rows[row].text);
}

static void flip_each(struct bench *b, const struct history *h, struct buf *log, unsigned char mask)
{
    static struct storage_model loaded;

    for (size_t at = 0; at < log->len; at++) {
        size_t lost;
        log->data[at] = (char)(log->data[at] ^ mask);
        write_file(path_of(b, "log"), buf_view(log));
        log->data[at] = (char)(log->data[at] ^ mask);
        if (!survives(b, h, &loaded, &lost)) {
            fprintf(stderr, "byte %zu flipped by %02x\n", at, mask);
            CU_FAIL("damage was not survived");
            return;
        }
        /*
         * It was repaired: the same again, and no complaint but that of a certificate whose chain
         * nobody else has used yet.
         */
        b->model = loaded;
        if (!reopen(b, false) || b->problems.total > lost) {
            fprintf(stderr, "byte %zu flipped by %02x\n", at, mask);
            CU_FAIL("damage was not repaired");
            return;
        }
    }
}

static void test_flip_anywhere(void)
{
    struct bench b;
    struct history h;
    struct buf log;

    begin(&b);
    make_history(&b, &h);
    read_file(path_of(&b, "log"), &log);
    flip_each(&b, &h, &log, 0xff);
    flip_each(&b, &h, &log, 0x01);
    CU_ASSERT(mode_of(path_of(&b, "damaged")) == 0600);
    CU_ASSERT(size_of(path_of(&b, "damaged")) > log.len);
    buf_free(&log);
    end(&b);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("storage/file", NULL, NULL);
    CU_add_test(suite, "round trip", test_round_trip);
    CU_add_test(suite, "modes", test_modes);
    CU_add_test(suite, "mode is repaired", test_mode_is_repaired);
    CU_add_test(suite, "appends are small", test_appends_are_small);
    CU_add_test(suite, "random", test_random);
    CU_add_test(suite, "cut anywhere", test_cut_anywhere);
    CU_add_test(suite, "flip anywhere", test_flip_anywhere);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
