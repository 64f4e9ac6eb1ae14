#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compaction.h"
#include "damaged.h"
#include "folder.h"
#include "ledger.h"
#include "lock.h"
#include "packed.h"
#include "presence.h"
#include "reconciler/pki/digest.h"
#include "replay.h"

#define FOLDER_NAME "storage"
#define LOG_NAME "log"
#define REPLACED_NAME "log.replaced"
#define REWRITE_STEP ((size_t)1 << 20) /* bytes that are written at once */

struct file {
    bool read_only;
    struct lock lock; /* LOCK_NONE where we only look */
    int directory;    /* prefix/storage; -1: nothing is there, and we only look */
    struct ledger ledger;
    struct compaction *compaction; /* NULL = none is under way */
    uint64_t patience;             /* garbage that the next compaction waits for */
    enum append_log_header_state header;
    int write_error;  /* errno why the log is open for reading only; 0 */
    bool is_unsynced; /* a rename in the directory is not durable yet */
    bool is_loaded;
    char *path; /* prefix/storage, for messages */
    char *prefix;
};

static int sync_directory(struct file *f, struct error *e)
{
    if (f->is_unsynced && fsync(f->directory))
        return error_errno(e, ERROR_STORAGE, errno, "the storage's directory cannot be synced");
    f->is_unsynced = false;
    return 0;
}

/* A new, empty log. It gets its name when it is whole. */
static int create_log(struct file *f, struct error *e)
{
    if (ledger_create(&f->ledger, f->directory, COMPACTION_NAME, NULL, e))
        return -1;
    if (fsync(f->ledger.fd) || renameat(f->directory, COMPACTION_NAME, f->directory, LOG_NAME))
        return error_errno(e, ERROR_STORAGE, errno, "a new log cannot be made");
    f->is_unsynced = true;
    return sync_directory(f, e);
}

static int read_header(struct file *f, struct error *e)
{
    char first[APPEND_LOG_HEADER_SIZE + APPEND_LOG_HEAD_SIZE];
    ssize_t len = pread(f->ledger.fd, first, sizeof(first), 0);
    uint32_t version = 0;

    if (len < 0)
        return error_errno(e, ERROR_STORAGE, errno, "the log cannot be read");
    f->header =
        append_log_read_header((struct str){first, (size_t)len}, f->ledger.marker, &version);
    if (f->header == APPEND_LOG_HEADER_NEWER)
        return error_set(e, ERROR_STORAGE,
                         "the log has format %" PRIu32 ", this build knows %d only: use the newer "
                         "reconcert that wrote it",
                         version, APPEND_LOG_VERSION);
    if (f->header == APPEND_LOG_HEADER_FOREIGN)
        return error_set(e, ERROR_STORAGE,
                         "the log does not begin as one of ours: nothing of it can be read");
    return 0;
}

/* Opens the log that is there. 0; 1: there is none; -1 with *e. */
static int open_log(struct file *f, struct error *e)
{
    bool writes = !f->read_only;

    f->ledger.fd = folder_open_file(f->directory, LOG_NAME, writes ? O_RDWR : O_RDONLY, e);
    if (f->ledger.fd < 0 && writes && (errno == EROFS || errno == EACCES || errno == EPERM)) {
        /* What is there is served all the same; a probe and every put tell why they fail. */
        f->write_error = errno;
        f->ledger.fd = folder_open_file(f->directory, LOG_NAME, O_RDONLY, e);
    }
    if (f->ledger.fd < 0)
        return errno == ENOENT ? 1 : -1;
    return read_header(f, e);
}

static int open_folder(const struct file *f, struct error *e)
{
    bool create = !f->read_only;
    int parent = folder_open(f->prefix, create, e), folder, why;

    if (parent < 0)
        return -1;
    folder = folder_open_below(parent, FOLDER_NAME, create, e);
    why = errno;
    close(parent);
    errno = why;
    return folder;
}

static int open_file(struct file *f, struct error *e)
{
    int found;

    f->directory = open_folder(f, e);
    if (f->directory < 0)
        return f->read_only && errno == ENOENT ? 0 : -1;
    found = open_log(f, e);
    if (found < 0)
        return -1;
    if (f->read_only)
        return 0;
    /* Left by a crash; its contents are in the log. */
    (void)unlinkat(f->directory, COMPACTION_NAME, 0);
    if (found == 0 && f->header != APPEND_LOG_HEADER_CUT)
        return 0;
    ledger_fini(&f->ledger);
    f->header = APPEND_LOG_HEADER_GOOD;
    return create_log(f, e);
}

void file_close(struct file *f)
{
    if (!f)
        return;
    compaction_abort(f->compaction);
    ledger_fini(&f->ledger);
    if (f->directory >= 0)
        close(f->directory);
    lock_drop(&f->lock);
    free(f->path);
    free(f->prefix);
    free(f);
}

/* Puts the place in front of the message. Returns -1. */
static int locate(const struct file *f, struct error *e)
{
    return e->kind == ERROR_MEMORY ? -1 : error_prefix(e, "%s", f->path);
}

struct file *file_open(const char *prefix, bool read_only, struct error *e)
{
    struct file *f = calloc(1, sizeof(*f));

    if (!f) {
        error_memory(e);
        return NULL;
    }
    f->read_only = read_only;
    f->lock = LOCK_NONE;
    f->directory = -1;
    f->patience = FILE_GARBAGE_FLOOR;
    ledger_init(&f->ledger);
    f->prefix = str_dup(str_from(prefix));
    if (!f->prefix || asprintf(&f->path, "%s/" FOLDER_NAME, prefix) < 0) {
        f->path = NULL;
        error_memory(e);
    } else if (read_only || lock_take(&f->lock, f->prefix, e) == 0) {
        if (open_file(f, e) == 0)
            return f;
        locate(f, e);
    }
    file_close(f);
    return NULL;
}

/* Lets go of a compaction that cannot go on, and waits for twice the garbage before the next. */
static void give_up(struct file *f)
{
    compaction_abort(f->compaction);
    f->compaction = NULL;
    f->patience = ledger_garbage(&f->ledger) * 2;
}

/* Starts a compaction or takes it on by `budget` bytes. -1 with *e: given up. */
static int compact(struct file *f, size_t budget, struct error *e)
{
    int more;

    if (!f->compaction)
        f->compaction = compaction_begin(&f->ledger, f->directory, e);
    more = f->compaction ? compaction_step(f->compaction, &f->ledger, budget, e) : -1;
    if (more == 0)
        more = compaction_finish(f->compaction, &f->ledger, LOG_NAME, e);
    else if (more > 0)
        return 0;
    if (more < 0) {
        give_up(f);
        return -1;
    }
    f->compaction = NULL;
    f->is_unsynced = true;
    f->patience = FILE_GARBAGE_FLOOR;
    return sync_directory(f, e);
}

/*
 * Beside a put that is durable already: a compaction that fails now (a full disk ...) costs nothing
 * but the room that it would have won, and is tried again later.
 */
static void compact_if_due(struct file *f, size_t written)
{
    uint64_t garbage = ledger_garbage(&f->ledger);
    struct error ignored;

    if (f->compaction || (garbage > f->ledger.live_bytes && garbage > f->patience))
        (void)compact(f, FILE_COMPACTION_STEP + 2 * written, &ignored);
}

/* Damage is put aside and the log written anew without it. */
static int repair(struct file *f, const struct replay *r, struct error *e)
{
    if (damaged_keep(f->directory, f->ledger.fd, r->damages.items, r->damages.len, e))
        return -1;
    return compact(f, SIZE_MAX / 2, e);
}

static void repair_if_needed(struct file *f, const struct replay *r, uint64_t size,
                             struct storage_problems *problems)
{
    struct error problem;

    f->ledger.is_uncut = size > r->end;
    if (f->read_only || f->write_error)
        return;
    if (ledger_cut(&f->ledger, &problem))
        storage_problem(problems, &problem);
    if (!r->damages.len && f->header == APPEND_LOG_HEADER_GOOD)
        return;
    if (repair(f, r, &problem)) {
        error_prefix(&problem, "the damaged log is used on as it is");
        storage_problem(problems, &problem);
    }
}

int file_load(struct file *f, storage_each *each, void *context, struct storage_problems *problems,
              struct error *e)
{
    struct replay r = {0};
    struct error problem;
    struct stat st;
    int rc = -1;

    if (f->ledger.fd < 0 || f->header == APPEND_LOG_HEADER_CUT) {
        f->is_loaded = true;
        return 0;
    }
    if (fstat(f->ledger.fd, &st))
        return error_errno(e, ERROR_STORAGE, errno, "%s: the log cannot be read", f->path);
    if (f->header == APPEND_LOG_HEADER_DAMAGED) {
        error_set(&problem, ERROR_STORAGE, "the header of the log is damaged");
        storage_problem(problems, &problem);
    }
    if (replay_note(&r, &f->ledger, (uint64_t)st.st_size, problems, e)) {
        locate(f, e);
        goto out;
    }
    if (replay_each(&r, &f->ledger, each, context, problems, e))
        goto out;
    f->is_loaded = true;
    repair_if_needed(f, &r, (uint64_t)st.st_size, problems);
    rc = 0;
out:
    replay_fini(&r);
    return rc;
}

static struct presence presence_of(const struct file *f)
{
    return (struct presence){.path = f->path,
                             .name = LOG_NAME,
                             .folder = f->directory,
                             .ledger = &f->ledger,
                             .knows_header = f->header == APPEND_LOG_HEADER_GOOD};
}

/* What is wrong is told with its path: lock_check's sentences have it. */
int file_check(const struct file *f, struct error *e)
{
    const struct presence presence = presence_of(f);

    if (lock_check(&f->lock, f->prefix, e))
        return -1;
    return presence_check(&presence, e) ? error_prefix(e, "%s", f->path) : 0;
}

/* Everything that is needed before the log is written to. */
static int make_ready(struct file *f, struct error *e)
{
    int fd;

    if (!f->is_loaded)
        BUG("a storage is written to that was not loaded");
    if (file_check(f, e))
        return -1;
    if (f->write_error) {
        fd = folder_open_file(f->directory, LOG_NAME, O_RDWR, e);
        if (fd < 0)
            return -1;
        close(f->ledger.fd);
        f->ledger.fd = fd;
        f->write_error = 0;
    }
    return sync_directory(f, e);
}

static int add_value(struct ledger *l, struct ledger_batch *b, const struct value *v,
                     struct buf *key, struct error *e)
{
    struct value copy = *v;
    struct value_credential *c = &copy.u.credential;
    size_t start;

    buf_clear(key);
    if (value_key(v, key, e))
        return -1;
    if (v->gone) {
        start = ledger_begin(b, APPEND_LOG_DELETE, buf_view(key), e);
        return start == SIZE_MAX ? -1 : ledger_finish(l, b, start, e);
    }
    if (v->type == VALUE_CREDENTIAL) {
        memset(c->chain_id, 0, sizeof(c->chain_id));
        if (c->chain.len && digest_sha256(c->chain, c->chain_id))
            return error_memory(e);
        if (c->chain.len && ledger_add_chain(l, b, c->chain_id, c->chain, e))
            return -1;
    }
    start = ledger_begin(b, APPEND_LOG_PUT, buf_view(key), e);
    if (start == SIZE_MAX)
        return -1;
    if (packed_write(&copy, &b->bytes))
        return error_memory(e);
    return ledger_finish(l, b, start, e);
}

/* ---- reading ---- */

int file_get(const struct file *f, struct str key, struct arena *arena, struct value *v,
             struct storage_version *version, struct error *e)
{
    struct append_log_record record;
    struct append_log_scan scan;
    struct value read;
    int found;

    *version = (struct storage_version){0};
    if (f->ledger.fd < 0)
        return 0;
    found = ledger_read(&f->ledger, key, &scan, &record, e);
    if (found > 0) {
        version->is_there = true;
        found = digest_sha256(record.payload, version->bytes)         ? error_memory(e)
                : replay_unpack(&record, &f->ledger, arena, &read, e) ? -1
                : value_copy(&read, arena, v)                         ? error_memory(e)
                                                                      : 0;
    }
    append_log_scan_fini(&scan);
    return found < 0 ? locate(f, e) : 0;
}

/* Is it asked for, and there? */
static bool is_listed(const struct file *f, const struct append_log_record *r, struct str prefix,
                      struct str cursor)
{
    return r->kind == APPEND_LOG_PUT && str_starts(r->key, prefix) &&
           str_compare(r->key, cursor) > 0 && ledger_is_live(&f->ledger, r);
}

int file_list(const struct file *f, struct str prefix, struct str cursor, struct arena *arena,
              struct str **keys, size_t *count, struct error *e)
{
    size_t most = f->ledger.live.len;
    struct append_log_record record;
    struct append_log_scan scan;
    enum append_log_found found = APPEND_LOG_END;

    *count = 0;
    *keys = arena_array(arena, most + 1, sizeof(**keys));
    if (!*keys)
        return error_memory(e);
    append_log_scan_init(&scan, f->ledger.fd, f->ledger.marker, APPEND_LOG_HEADER_SIZE,
                         f->ledger.end);
    scan.is_checked = true;
    while (*count < most &&
           (found = append_log_scan_next(&scan, &record, e)) <= APPEND_LOG_DAMAGE) {
        if (found == APPEND_LOG_DAMAGE || !is_listed(f, &record, prefix, cursor))
            continue;
        (*keys)[*count] = arena_str(arena, record.key);
        if (!(*keys)[(*count)++].ptr) {
            append_log_scan_fini(&scan);
            return error_memory(e);
        }
    }
    append_log_scan_fini(&scan);
    return found == APPEND_LOG_FAILED ? locate(f, e) : 0;
}

/* ---- writing ---- */

/* 1: the guard holds; 0; -1 with *e. */
static int holds(const struct file *f, const struct storage_change *change, struct error *e)
{
    struct buf key = BUF_INIT(VALUE_LOGICAL_KEY_MAX);
    struct storage_version version;
    struct arena *arena;
    struct value v;
    int rc;

    if (change->guard == STORAGE_ANY)
        return 1;
    arena = arena_new(&(struct arena_options){.secret = true});
    rc = !arena                              ? error_memory(e)
         : value_key(change->value, &key, e) ? -1
                                             : file_get(f, buf_view(&key), arena, &v, &version, e);
    arena_free(arena);
    buf_free(&key);
    return rc ? -1 : storage_holds(change, &version);
}

/* Writes the batch of `changes`, once every guard has been found to hold. */
static int write_changes(struct file *f, const struct storage_change *changes, size_t count,
                         struct error *e)
{
    struct buf key = BUF_INIT(VALUE_LOGICAL_KEY_MAX * 2);
    struct ledger_batch b;
    size_t written;
    int rc = 0;

    ledger_batch_init(&f->ledger, &b);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_value(&f->ledger, &b, changes[i].value, &key, e);
    written = b.bytes.len;
    if (rc == 0)
        rc = ledger_write(&f->ledger, &b, true, e);
    if (rc == 0)
        compact_if_due(f, written);
    ledger_batch_free(&b);
    buf_free(&key);
    return rc ? locate(f, e) : 0;
}

enum storage_outcome file_put(struct file *f, const struct storage_change *changes, size_t count,
                              struct error *e)
{
    if (make_ready(f, e))
        return STORAGE_FAILED;
    for (size_t i = 0; i < count; i++) {
        int held = holds(f, &changes[i], e);
        if (held <= 0)
            return held ? STORAGE_FAILED : STORAGE_CONFLICT;
    }
    return write_changes(f, changes, count, e) ? STORAGE_FAILED : STORAGE_OK;
}

int file_probe(struct file *f, size_t room, struct error *e)
{
    if (make_ready(f, e))
        return -1;
    room = room < STORAGE_PROBE_MAX ? room : STORAGE_PROBE_MAX;
    return ledger_probe(&f->ledger, room, e) ? locate(f, e) : 0;
}

/* ---- writing everything anew ---- */

/* A log that somebody put in the place of ours is not ours to delete. */
static int set_aside(const struct file *f, struct error *e)
{
    struct stat there, ours;

    if (fstatat(f->directory, LOG_NAME, &there, AT_SYMLINK_NOFOLLOW) ||
        fstat(f->ledger.fd, &ours) ||
        (there.st_ino == ours.st_ino && there.st_dev == ours.st_dev) || !there.st_size)
        return 0;
    if (renameat(f->directory, LOG_NAME, f->directory, REPLACED_NAME))
        return error_errno(e, ERROR_STORAGE, errno, "the log there cannot be set aside");
    return 0;
}

/* A log that is being written from what memory holds. */
struct rewrite {
    struct ledger to;
    struct ledger_batch batch;
    struct buf key;
};

static int rewrite_value(void *context, const struct value *v, struct error *e)
{
    struct rewrite *r = context;

    if (value_check(v, e) || add_value(&r->to, &r->batch, v, &r->key, e))
        return -1;
    return r->batch.bytes.len < REWRITE_STEP ? 0 : ledger_write(&r->to, &r->batch, false, e);
}

/* The log gets its name when it is whole. */
static int rewrite_log(struct file *f, struct rewrite *r, storage_all *all, void *context,
                       struct error *e)
{
    size_t start;

    if (ledger_create(&r->to, f->directory, COMPACTION_NAME, NULL, e) ||
        all(context, rewrite_value, r, e))
        return -1;
    start = ledger_begin(&r->batch, APPEND_LOG_MARK, STR_NONE, e);
    if (start == SIZE_MAX || ledger_finish(&r->to, &r->batch, start, e) ||
        ledger_write(&r->to, &r->batch, true, e))
        return -1;
    if (renameat(f->directory, COMPACTION_NAME, f->directory, LOG_NAME))
        return error_errno(e, ERROR_STORAGE, errno, "the new log cannot be put in place");
    return 0;
}

static int rewrite(struct file *f, storage_all *all, void *context, struct error *e)
{
    struct rewrite r = {.key = BUF_INIT(VALUE_LOGICAL_KEY_MAX * 2)};
    struct ledger old = f->ledger;
    int rc;

    ledger_init(&r.to);
    ledger_batch_init(&r.to, &r.batch);
    rc = rewrite_log(f, &r, all, context, e);
    if (rc == 0) {
        f->ledger = r.to;
        r.to = old;
        f->is_unsynced = true;
        rc = sync_directory(f, e);
    }
    ledger_batch_free(&r.batch);
    ledger_fini(&r.to);
    buf_free(&r.key);
    return rc;
}

/* The folder that lies at the path now, made where there is none. */
static int follow_path(struct file *f, struct error *e)
{
    int folder = open_folder(f, e);

    if (folder < 0)
        return -1;
    compaction_abort(f->compaction);
    f->compaction = NULL;
    close(f->directory);
    f->directory = folder;
    return set_aside(f, e);
}

int file_restore(struct file *f, storage_all *all, void *context, struct error *e)
{
    const struct presence before = presence_of(f);
    struct error ignored;
    int rc;

    if (file_check(f, e) == 0)
        return 0;
    if (lock_take(&f->lock, f->prefix, e))
        return -1;
    /* It was the lock alone. */
    if (presence_check(&before, &ignored) == 0)
        return 0;
    if (follow_path(f, e))
        return locate(f, e);
    rc = presence_is_whole(&before) ? compact(f, SIZE_MAX / 2, &ignored) : -1;
    if (rc && rewrite(f, all, context, e))
        return locate(f, e);
    f->header = APPEND_LOG_HEADER_GOOD;
    f->write_error = 0;
    return 0;
}
