/* Reading the declarative files: whole, bounded, in one order. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/io/source.h"

static char folder[] = "/tmp/reconcert-source-XXXXXX";

static char *path_of(const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return path;
}

static void write_file(const char *name, const char *text)
{
    char *path = path_of(name);
    FILE *f = fopen(path, "w");

    if (!f || fputs(text, f) < 0 || fclose(f))
        abort();
    free(path);
}

static int read_paths(char *const *paths, size_t count, uint64_t max, struct source_set **set,
                      struct error *e)
{
    const struct source_options options = {.paths = paths, .path_count = count, .max_bytes = max};

    return source_read(&options, set, e);
}

static void test_one_file(void)
{
    char *path;
    struct source_set *set = NULL;
    struct error e;

    write_file("a.yaml", "abc");
    path = path_of("a.yaml");
    CU_ASSERT_EQUAL_FATAL(read_paths(&path, 1, 100, &set, &e), 0);
    CU_ASSERT_EQUAL(set->count, 1);
    CU_ASSERT_STRING_EQUAL(set->files[0].name, path);
    CU_ASSERT_EQUAL(set->files[0].len, 3);
    CU_ASSERT_STRING_EQUAL(set->files[0].data, "abc");
    CU_ASSERT_STRING_EQUAL(set->files[0].sha256,
                           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    source_free(set);
    free(path);
}

/* Configuration files of a folder by name; hidden ones and others are left out. */
static void test_folder(void)
{
    char *path = path_of("d"), *sub = path_of("d/sub"), *hidden = path_of("d/..data");
    struct source_set *set = NULL;
    struct error e;

    mkdir(path, 0700);
    mkdir(sub, 0700);
    mkdir(hidden, 0700);
    write_file("d/b.yml", "b");
    write_file("d/a.json", "{}");
    write_file("d/notes.txt", "no");
    write_file("d/.hidden.yaml", "no");
    write_file("d/..data/x.yaml", "no");
    write_file("d/sub/c.yaml", "c");
    CU_ASSERT_EQUAL_FATAL(read_paths(&path, 1, 100, &set, &e), 0);
    CU_ASSERT_EQUAL_FATAL(set->count, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(set->files[0].name, "d/a.json"));
    CU_ASSERT_PTR_NOT_NULL(strstr(set->files[1].name, "d/b.yml"));
    CU_ASSERT_PTR_NOT_NULL(strstr(set->files[2].name, "d/sub/c.yaml"));
    source_free(set);
    free(path);
    free(sub);
    free(hidden);
}

/* The bound is crossed by one byte, by one file alone and by two together. */
static void test_bound(void)
{
    char *paths[2];
    struct source_set *set = NULL;
    struct error e;

    write_file("one.yaml", "12345");
    write_file("two.yaml", "123456");
    paths[0] = path_of("one.yaml");
    paths[1] = path_of("two.yaml");
    CU_ASSERT_EQUAL(read_paths(paths, 2, 11, &set, &e), 0);
    source_free(set);
    CU_ASSERT_EQUAL(read_paths(paths, 2, 10, &set, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    CU_ASSERT_STRING_EQUAL(e.file, paths[1]);
    CU_ASSERT_STRING_EQUAL(
        e.message, "with this one the documents have 11 bytes, acme_max_document allows 10");
    CU_ASSERT_EQUAL(read_paths(paths, 1, 4, &set, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    free(paths[0]);
    free(paths[1]);
}

static void test_what_is_no_file(void)
{
    char *missing = path_of("missing.yaml"), *fifo = path_of("fifo.yaml"), *loop = path_of("loop");
    struct source_set *set = NULL;
    struct error e;

    CU_ASSERT_EQUAL(read_paths(&missing, 1, 100, &set, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_IO);
    CU_ASSERT_STRING_EQUAL(e.file, missing);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "No such file"));
    CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
    CU_ASSERT_EQUAL(read_paths(&fifo, 1, 100, &set, &e), -1); /* and does not wait for a writer */
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "not a regular file"));
    mkdir(loop, 0700);
    CU_ASSERT_EQUAL(read_paths(&loop, 1, 100, &set, &e), -1);
    CU_ASSERT_STRING_EQUAL(e.file, loop);
    CU_ASSERT_STRING_EQUAL(e.message, "the folder holds no *.yaml, *.yml or *.json");
    CU_ASSERT_EQUAL_FATAL(chdir(loop), 0);
    CU_ASSERT_EQUAL_FATAL(symlink("nothing", "gone.yaml"), 0);
    CU_ASSERT_EQUAL(read_paths(&loop, 1, 100, &set, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.file, "gone.yaml"));
    CU_ASSERT_EQUAL_FATAL(unlink("gone.yaml"), 0);
    CU_ASSERT_EQUAL_FATAL(symlink("../loop", "again"), 0);
    CU_ASSERT_EQUAL_FATAL(chdir("/"), 0);
    CU_ASSERT_EQUAL(read_paths(&loop, 1, 100, &set, &e), -1); /* SOURCE_DEPTH_MAX */
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    CU_ASSERT_EQUAL(read_paths(NULL, 0, 100, &set, &e), -1);
    free(missing);
    free(fifo);
    free(loop);
}

/* Standard input: a pipe is read to its end, a file is refused by its size; neither twice. */
static void test_stdin(void)
{
    char *paths[] = {(char[]){"-"}, (char[]){"-"}}, *path = path_of("in.yaml");
    int saved = dup(STDIN_FILENO), ends[2], fd;
    struct source_set *set = NULL;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    CU_ASSERT_EQUAL_FATAL(write(ends[1], "12345", 5), 5);
    close(ends[1]);
    CU_ASSERT_EQUAL_FATAL(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    CU_ASSERT_EQUAL_FATAL(read_paths(paths, 1, 5, &set, &e), 0);
    CU_ASSERT_STRING_EQUAL(set->files[0].data, "12345");
    source_free(set);
    write_file("in.yaml", "123456");
    fd = open(path, O_RDONLY);
    CU_ASSERT_EQUAL_FATAL(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    CU_ASSERT_EQUAL(read_paths(paths, 1, 5, &set, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    CU_ASSERT_EQUAL(lseek(STDIN_FILENO, 0, SEEK_CUR), 0);
    CU_ASSERT_EQUAL(read_paths(paths, 2, 100, &set, &e), -1);
    CU_ASSERT_STRING_EQUAL(e.message, "standard input can be read once");
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(ends[0]);
    close(fd);
    free(path);
}

static void test_text(void)
{
    const struct source_options options = {.text = "x: y", .max_bytes = 4};
    const struct source_options small = {.text = "x: y", .max_bytes = 3};
    struct source_set *set = NULL;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(source_read(&options, &set, &e), 0);
    CU_ASSERT_STRING_EQUAL(set->files[0].name, "declarative_config_string");
    CU_ASSERT_STRING_EQUAL(set->files[0].data, "x: y");
    source_free(set);
    CU_ASSERT_EQUAL(source_read(&small, &set, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
}

/* The contents in their order make the configuration, whatever the files are called. */
static void test_hash(void)
{
    char *paths[2], *turned[2], first[65];
    struct source_set *set = NULL;
    struct error e;

    write_file("p.yaml", "1");
    write_file("q.yaml", "2");
    turned[1] = paths[0] = path_of("p.yaml");
    turned[0] = paths[1] = path_of("q.yaml");
    CU_ASSERT_EQUAL_FATAL(read_paths(paths, 2, 100, &set, &e), 0);
    memcpy(first, set->sha256, sizeof(first));
    source_free(set);
    CU_ASSERT_EQUAL_FATAL(read_paths(turned, 2, 100, &set, &e), 0);
    CU_ASSERT_STRING_NOT_EQUAL(first, set->sha256);
    source_free(set);
    CU_ASSERT_EQUAL_FATAL(read_paths(paths, 1, 100, &set, &e), 0);
    CU_ASSERT_STRING_EQUAL(set->sha256, set->files[0].sha256);
    source_free(set);
    free(paths[0]);
    free(paths[1]);
}

int main(void)
{
    char command[sizeof(folder) + 16];
    CU_pSuite suite;
    int rc;

    if (!mkdtemp(folder) || CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("source", NULL, NULL);
    CU_add_test(suite, "one file", test_one_file);
    CU_add_test(suite, "folder", test_folder);
    CU_add_test(suite, "bound", test_bound);
    CU_add_test(suite, "no file", test_what_is_no_file);
    CU_add_test(suite, "standard input", test_stdin);
    CU_add_test(suite, "text", test_text);
    CU_add_test(suite, "hash", test_hash);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command) ? 1 : rc;
}
