#include "reconciler/storage/presence.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/storage/file.h"
#include "tests/support/scratch.h"
#include "tests/support/storage_model.h"
#include "tests/support/value_sample.h"

#define PATH_SIZE 256
#define NAMES 5

/* What a running server has open, and what its memory believes in. */
struct place {
    char scratch[SCRATCH_PATH_MAX];
    char prefix[PATH_SIZE], folder[PATH_SIZE], log[PATH_SIZE], away[PATH_SIZE];
    struct file *storage;
    struct storage_model model;
    struct value_sample samples[NAMES];
    size_t handed; /* out of memory */
};

static struct file *open_at(const struct place *p, bool read_only, struct error *e)
{
    return file_open(p->prefix, read_only, e);
}

static void make_place(struct place *p)
{
    struct storage_problems problems = {0};
    struct storage_model none;
    struct error e;

    memset(p, 0, sizeof(*p));
    scratch_make(p->scratch);
    snprintf(p->prefix, sizeof(p->prefix), "%s/prefix", p->scratch);
    snprintf(p->folder, sizeof(p->folder), "%s/prefix/storage", p->scratch);
    snprintf(p->log, sizeof(p->log), "%s/prefix/storage/log", p->scratch);
    snprintf(p->away, sizeof(p->away), "%s/away", p->scratch);
    p->storage = open_at(p, false, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p->storage);
    CU_ASSERT(storage_model_load(&none, &p->model, p->storage, &problems, &e) == 0);
    for (unsigned i = 0; i < NAMES; i++) {
        value_sample_make(&p->samples[i], VALUE_CREDENTIAL, i + 1, i, 300);
        CU_ASSERT(file_put_values(p->storage, &p->samples[i].v, 1, &e) == 0);
        storage_model_put(&p->model, &p->samples[i].v);
    }
}

static void drop_place(struct place *p)
{
    file_close(p->storage);
    scratch_remove(p->scratch);
}

static int hand_out(void *context, storage_each *put, void *to, struct error *e)
{
    struct place *p = context;

    for (p->handed = 0; p->handed < NAMES; p->handed++)
        if (put(to, &p->samples[p->handed].v, e))
            return -1;
    return 0;
}

/* Does a restart find what memory holds? */
static bool is_found(struct place *p)
{
    static struct storage_model loaded;
    struct storage_problems problems = {0};
    struct error e;
    bool same;

    file_close(p->storage);
    p->storage = open_at(p, false, &e);
    same = p->storage && !storage_model_load(&loaded, &p->model, p->storage, &problems, &e) &&
           !problems.total && !storage_model_differences(&loaded, &p->model, NULL);
    storage_problems_free(&problems);
    return same;
}

static void write_text(const char *path, const char *text, int flags)
{
    int fd = open(path, O_WRONLY | flags, 0600);

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* ---- what may happen to it ---- */

static void remove_all(const struct place *p)
{
    scratch_remove(p->prefix);
}

static void move_all(const struct place *p)
{
    CU_ASSERT(rename(p->prefix, p->away) == 0);
}

static void move_folder(const struct place *p)
{
    CU_ASSERT(rename(p->folder, p->away) == 0);
}

static void replace_folder(const struct place *p)
{
    move_folder(p);
    CU_ASSERT(mkdir(p->folder, 0700) == 0);
}

static void remove_log(const struct place *p)
{
    CU_ASSERT(unlink(p->log) == 0);
}

static void replace_log(const struct place *p)
{
    CU_ASSERT(rename(p->log, p->away) == 0);
    write_text(p->log, "somebody's", O_CREAT);
}

static void cut_log(const struct place *p)
{
    struct stat st;

    CU_ASSERT(stat(p->log, &st) == 0 && truncate(p->log, st.st_size / 2) == 0);
}

static void empty_log(const struct place *p)
{
    CU_ASSERT(truncate(p->log, 0) == 0);
}

static void overwrite_log(const struct place *p)
{
    write_text(p->log, "another log", 0);
}

static void lengthen_log(const struct place *p)
{
    write_text(p->log, "more", O_APPEND);
}

static void remove_lock(const struct place *p)
{
    char lock[PATH_SIZE + 8];

    snprintf(lock, sizeof(lock), "%s/lock", p->prefix);
    CU_ASSERT(unlink(lock) == 0);
}

static void vanishes(void)
{
    static const struct {
        void (*happens)(const struct place *p);
        const char *said;
        size_t handed; /* what memory had to give */
    } rows[] = {
        {remove_all, "is gone", 0},
        {move_all, "is gone", 0},
        {move_folder, "the folder is gone", 0},
        {replace_folder, "another folder is in the place of ours", 0},
        {remove_log, "the log is gone", 0},
        {replace_log, "another file is in the place of the log", 0},
        {cut_log, "the log was cut", NAMES},
        {empty_log, "the log was cut: 0 of its", NAMES},
        {overwrite_log, "the log was overwritten", NAMES},
        {lengthen_log, "somebody else wrote to the log", NAMES},
        {remove_lock, "the lock file is gone", 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        static struct place p;
        struct value_sample more;
        struct error e;

        make_place(&p);
        CU_ASSERT(file_check(p.storage, &e) == 0);
        rows[i].happens(&p);
        CU_ASSERT(file_check(p.storage, &e) == -1 && e.kind == ERROR_STORAGE);
        if (!strstr(e.message, rows[i].said))
            CU_FAIL(rows[i].said);
        /* Nothing is written where nobody will look. */
        CU_ASSERT(file_probe(p.storage, 1, &e) == -1);
        CU_ASSERT(file_put_values(p.storage, &p.samples[0].v, 1, &e) == -1);
        CU_ASSERT(file_restore(p.storage, hand_out, &p, &e) == 0);
        CU_ASSERT_EQUAL(p.handed, rows[i].handed);
        CU_ASSERT(file_check(p.storage, &e) == 0);
        value_sample_make(&more, VALUE_FAILURE, 9, 9, 300);
        CU_ASSERT(file_put_values(p.storage, &more.v, 1, &e) == 0);
        storage_model_put(&p.model, &more.v);
        CU_ASSERT(is_found(&p));
        drop_place(&p);
    }
}

/* Where another server has taken the place, it stays its. */
static void taken(void)
{
    struct place p;
    struct file *second;
    struct error e;

    make_place(&p);
    CU_ASSERT_PTR_NULL(open_at(&p, false, &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_IN_USE);
    move_all(&p);
    second = open_at(&p, false, &e);
    CU_ASSERT_PTR_NOT_NULL(second);
    CU_ASSERT(file_restore(p.storage, hand_out, &p, &e) == -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_IN_USE);
    CU_ASSERT(file_check(p.storage, &e) == -1);
    file_close(second);
    CU_ASSERT(file_restore(p.storage, hand_out, &p, &e) == 0);
    CU_ASSERT(is_found(&p));
    drop_place(&p);
}

/* What cannot be made now is made later, and nothing is lost in between. */
static void tried_again(void)
{
    struct place p;
    struct error e;

    make_place(&p);
    move_all(&p);
    write_text(p.prefix, "a file", O_CREAT);
    CU_ASSERT(file_restore(p.storage, hand_out, &p, &e) == -1);
    CU_ASSERT(file_check(p.storage, &e) == -1);
    CU_ASSERT(unlink(p.prefix) == 0);
    CU_ASSERT(file_restore(p.storage, hand_out, &p, &e) == 0);
    CU_ASSERT(is_found(&p));
    /* It comes back as it was: nothing is to be done. */
    drop_place(&p);
    make_place(&p);
    move_all(&p);
    CU_ASSERT(file_check(p.storage, &e) == -1);
    CU_ASSERT(rename(p.away, p.prefix) == 0);
    CU_ASSERT(file_restore(p.storage, hand_out, &p, &e) == 0);
    CU_ASSERT(is_found(&p));
    drop_place(&p);
}

/* A log that was put there is kept beside the new one. */
static void kept_aside(void)
{
    char path[PATH_SIZE + 16];
    struct place p;
    struct stat st;
    struct error e;

    make_place(&p);
    replace_log(&p);
    CU_ASSERT(file_restore(p.storage, hand_out, &p, &e) == 0);
    snprintf(path, sizeof(path), "%s.replaced", p.log);
    CU_ASSERT(stat(path, &st) == 0 && st.st_size == (off_t)strlen("somebody's"));
    CU_ASSERT(is_found(&p));
    drop_place(&p);
}

static void open_to_others(void)
{
    static const struct {
        mode_t above, prefix;
        bool is_open;
    } rows[] = {
        {0755, 0700, false}, {0755, 0755, false}, {0755, 0770, true},   {0755, 01777, true},
        {0775, 0700, true},  {0777, 0700, true},  {01777, 0700, false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf said = BUF_INIT(2048);
        struct place p;

        make_place(&p);
        CU_ASSERT(chmod(p.scratch, rows[i].above) == 0 && chmod(p.prefix, rows[i].prefix) == 0);
        presence_print_open(p.prefix, &said);
        CU_ASSERT_EQUAL(said.len > 0, rows[i].is_open);
        if (rows[i].is_open)
            CU_ASSERT_PTR_NOT_NULL(strstr(said.data, p.scratch));
        buf_free(&said);
        drop_place(&p);
    }
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("storage/presence", NULL, NULL);
    CU_add_test(suite, "vanishes", vanishes);
    CU_add_test(suite, "taken", taken);
    CU_add_test(suite, "tried again", tried_again);
    CU_add_test(suite, "kept aside", kept_aside);
    CU_add_test(suite, "open to others", open_to_others);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
