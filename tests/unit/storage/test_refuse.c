/* What the file backend refuses, and what it lives with. */
#include "reconciler/storage/file.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/buf.h"
#include "reconciler/storage/append_log.h"
#include "tests/support/scratch.h"
#include "tests/support/storage_model.h"
#include "tests/support/value_sample.h"

struct place {
    char prefix[SCRATCH_PATH_MAX];
    char folder[SCRATCH_PATH_MAX + 16];
    char log[SCRATCH_PATH_MAX + 32];
    struct error e;
};

static void make_place(struct place *p)
{
    scratch_make(p->prefix);
    snprintf(p->folder, sizeof(p->folder), "%s/storage", p->prefix);
    snprintf(p->log, sizeof(p->log), "%s/log", p->folder);
    memset(&p->e, 0, sizeof(p->e));
}

static struct file *open_at(struct place *p, bool read_only)
{
    return file_open(p->prefix, read_only, &p->e);
}

static int count_value(void *context, const struct value *v, struct error *e)
{
    (void)v;
    (void)e;
    ++*(size_t *)context;
    return 0;
}

/* How many values a load hands out; SIZE_MAX where it fails. */
static size_t load(struct place *p, struct file *s, size_t *problems)
{
    struct storage_problems list = {0};
    size_t count = 0;

    if (file_load(s, count_value, &count, &list, &p->e))
        count = SIZE_MAX;
    if (problems)
        *problems = list.total;
    storage_problems_free(&list);
    return count;
}

static int put_one(struct place *p, struct file *s, unsigned name)
{
    struct value_sample sample;

    value_sample_make(&sample, VALUE_CREDENTIAL, name, name, 300);
    return file_put_values(s, &sample.v, 1, &p->e);
}

/* A storage with `count` values, closed. */
static void fill(struct place *p, unsigned count)
{
    struct file *s = open_at(p, false);

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(load(p, s, NULL) != SIZE_MAX);
    for (unsigned i = 1; i <= count; i++)
        CU_ASSERT(put_one(p, s, i) == 0);
    file_close(s);
}

static void patch(const char *path, off_t at, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    CU_ASSERT(fd >= 0 && pwrite(fd, bytes, len, at) == (ssize_t)len);
    close(fd);
}

static void test_newer_version(void)
{
    unsigned char header[APPEND_LOG_HEADER_SIZE],
        marker[APPEND_LOG_MARKER_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8};
    /* The same header, but of version 2: its checksum was computed beforehand. */
    static const struct {
        size_t at;
        unsigned char bytes[4];
    } version = {8, {2, 0, 0, 0}};
    static const unsigned char sum[4] = {0xea, 0x5a, 0x13, 0xdb};
    struct place p;

    make_place(&p);
    append_log_make_header(header, marker);
    for (size_t copy = 0; copy < APPEND_LOG_HEADER_SIZE; copy += APPEND_LOG_HEADER_SIZE / 2) {
        memcpy(header + copy + version.at, version.bytes, 4);
        memcpy(header + copy + 20, sum, 4);
    }
    CU_ASSERT(mkdir(p.folder, 0700) == 0);
    patch(p.log, 0, header, sizeof(header));
    CU_ASSERT_PTR_NULL(open_at(&p, false));
    CU_ASSERT(p.e.kind == ERROR_STORAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(p.e.message, "format 2"));
    CU_ASSERT_PTR_NULL(open_at(&p, true));
    /* And is left as it is. */
    CU_ASSERT(access(p.log, F_OK) == 0);
    scratch_remove(p.prefix);
}

static void test_foreign(void)
{
    static const char *const contents[] = {
        "#!/bin/sh\n",
        "R",
        "RCNTLOX",
        "RCNTLOG\nand then something that is no header at all, longer than one would be, and so on",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(contents); i++) {
        struct place p;
        struct file *s;
        make_place(&p);
        CU_ASSERT(mkdir(p.folder, 0700) == 0);
        patch(p.log, 0, contents[i], strlen(contents[i]));
        s = open_at(&p, false);
        /* Only what a crash while writing the header could have left is taken. */
        CU_ASSERT((s != NULL) == (i == 1));
        CU_ASSERT(s || strstr(p.e.message, "does not begin as one of ours"));
        file_close(s);
        scratch_remove(p.prefix);
    }
}

static void test_links_and_pipes(void)
{
    char elsewhere[SCRATCH_PATH_MAX + 32];
    struct place p;

    make_place(&p);
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", p.prefix);
    patch(elsewhere, 0, "", 0);
    CU_ASSERT(mkdir(p.folder, 0700) == 0);
    CU_ASSERT(symlink(elsewhere, p.log) == 0);
    CU_ASSERT_PTR_NULL(open_at(&p, false));
    CU_ASSERT(p.e.kind == ERROR_STORAGE);
    CU_ASSERT_PTR_NULL(open_at(&p, true));
    CU_ASSERT(unlink(p.log) == 0 && mkfifo(p.log, 0600) == 0);
    CU_ASSERT_PTR_NULL(open_at(&p, true));
    CU_ASSERT_PTR_NULL(open_at(&p, false));
    CU_ASSERT(unlink(p.log) == 0 && mkdir(p.log, 0700) == 0);
    CU_ASSERT_PTR_NULL(open_at(&p, false));
    CU_ASSERT(rmdir(p.log) == 0 && rmdir(p.folder) == 0);
    CU_ASSERT(symlink(elsewhere, p.folder) == 0);
    CU_ASSERT_PTR_NULL(open_at(&p, false));
    CU_ASSERT(unlink(p.folder) == 0 && symlink("/nonexistent/x", p.folder) == 0);
    CU_ASSERT_PTR_NULL(open_at(&p, false));
    scratch_remove(p.prefix);
}

/* A link in place of the file that a compaction writes is not followed either. */
static void test_link_at_new(void)
{
    char victim[SCRATCH_PATH_MAX + 32], path[SCRATCH_PATH_MAX + 64];
    struct stat st;
    struct place p;

    make_place(&p);
    fill(&p, 3);
    snprintf(victim, sizeof(victim), "%s/victim", p.prefix);
    patch(victim, 0, "untouched", 9);
    snprintf(path, sizeof(path), "%s/log.new", p.folder);
    CU_ASSERT(symlink(victim, path) == 0);
    patch(p.log, 30, "?", 1); /* the second copy of the header: it is written anew */
    fill(&p, 0);
    CU_ASSERT(stat(victim, &st) == 0 && st.st_size == 9);
    scratch_remove(p.prefix);
}

static void test_both_headers_damaged(void)
{
    size_t problems;
    struct file *s;
    struct place p;

    make_place(&p);
    fill(&p, 3);
    patch(p.log, 3, "?", 1);
    patch(p.log, 40, "?", 1);
    s = open_at(&p, true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(load(&p, s, &problems) == 3 && problems == 1);
    file_close(s);
    /* With the first record gone as well nobody knows where records begin. */
    patch(p.log, APPEND_LOG_HEADER_SIZE, "?", 1);
    CU_ASSERT_PTR_NULL(open_at(&p, true));
    CU_ASSERT_PTR_NULL(open_at(&p, false));
    scratch_remove(p.prefix);
}

static void test_nothing_there(void)
{
    char missing[SCRATCH_PATH_MAX + 32];
    struct file *s;
    struct place p;
    struct error e;

    make_place(&p);
    snprintf(missing, sizeof(missing), "%s/missing", p.prefix);
    s = file_open(missing, true, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(load(&p, s, NULL) == 0);
    CU_ASSERT(put_one(&p, s, 1) == -1 && p.e.kind == ERROR_STORAGE);
    CU_ASSERT(file_probe(s, 1, &e) == -1);
    file_close(s);
    CU_ASSERT(access(missing, F_OK) != 0);
    s = open_at(&p, true);
    CU_ASSERT(s && load(&p, s, NULL) == 0);
    file_close(s);
    CU_ASSERT(access(p.folder, F_OK) != 0);
    scratch_remove(p.prefix);
}

/* `diff` beside a running server: it sees what was complete, and does not disturb. */
static void test_reader_beside_writer(void)
{
    struct file *writer, *reader;
    struct stat before, after;
    struct place p;

    make_place(&p);
    writer = open_at(&p, false);
    CU_ASSERT_PTR_NOT_NULL_FATAL(writer);
    CU_ASSERT(load(&p, writer, NULL) == 0);
    for (unsigned i = 1; i < 20; i++) {
        size_t problems;
        CU_ASSERT(put_one(&p, writer, i) == 0);
        CU_ASSERT(stat(p.log, &before) == 0);
        /* Half of what the writer is about to append. */
        patch(p.log, before.st_size, "\x01\x02", i % 2);
        reader = open_at(&p, true);
        CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
        CU_ASSERT(load(&p, reader, &problems) == i);
        CU_ASSERT(problems == i % 2);
        file_close(reader);
        CU_ASSERT(stat(p.log, &after) == 0 && after.st_size == before.st_size + i % 2);
        CU_ASSERT(truncate(p.log, before.st_size) == 0);
    }
    file_close(writer);
    scratch_remove(p.prefix);
}

/* Words of a CA that look like a record of ours are no record, even where theirs is damaged. */
static void test_forged_record(void)
{
    struct buf forged = BUF_INIT(4096);
    unsigned char marker[APPEND_LOG_MARKER_SIZE] = {1, 9, 9, 9, 9, 9, 9, 9};
    struct value_sample sample;
    size_t start, problems;
    struct file *s;
    struct stat st;
    struct place p;

    make_place(&p);
    fill(&p, 1);
    CU_ASSERT(stat(p.log, &st) == 0);
    start = append_log_begin(&forged, APPEND_LOG_DELETE, STR("kong_acme:cert_key:n1.test"));
    CU_ASSERT(append_log_finish(&forged, start, marker, APPEND_LOG_COMMIT) == 0);
    value_sample_make(&sample, VALUE_FAILURE, 2, 2, 0);
    sample.v.u.failure.text = buf_view(&forged);
    s = open_at(&p, false);
    CU_ASSERT(s && load(&p, s, NULL) == 1);
    CU_ASSERT(file_put_values(s, &sample.v, 1, &p.e) == 0);
    CU_ASSERT(put_one(&p, s, 4) == 0);
    file_close(s);
    patch(p.log, st.st_size + 1, "?", 1);
    s = open_at(&p, true);
    CU_ASSERT(s && load(&p, s, &problems) == 2 && problems == 1);
    file_close(s);
    buf_free(&forged);
    scratch_remove(p.prefix);
}

static void test_probe(void)
{
    static const size_t rooms[] = {0, 1, 4096, 100000, STORAGE_PROBE_MAX, SIZE_MAX};
    struct stat before, after;
    struct file *s;
    struct place p;

    make_place(&p);
    fill(&p, 2);
    s = open_at(&p, false);
    CU_ASSERT(s && load(&p, s, NULL) == 2);
    CU_ASSERT(stat(p.log, &before) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(rooms); i++)
        CU_ASSERT(file_probe(s, rooms[i], &p.e) == 0);
    CU_ASSERT(stat(p.log, &after) == 0 && after.st_size == before.st_size);
    CU_ASSERT(put_one(&p, s, 3) == 0);
    file_close(s);
    s = open_at(&p, true);
    CU_ASSERT(s && load(&p, s, NULL) == 3);
    file_close(s);
    scratch_remove(p.prefix);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("storage/refuse", NULL, NULL);
    CU_add_test(suite, "newer version", test_newer_version);
    CU_add_test(suite, "foreign file", test_foreign);
    CU_add_test(suite, "links and pipes", test_links_and_pipes);
    CU_add_test(suite, "link at the new log", test_link_at_new);
    CU_add_test(suite, "both headers damaged", test_both_headers_damaged);
    CU_add_test(suite, "nothing there", test_nothing_there);
    CU_add_test(suite, "reader beside writer", test_reader_beside_writer);
    CU_add_test(suite, "forged record", test_forged_record);
    CU_add_test(suite, "probe", test_probe);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
