#include "reconciler/storage/default_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/base/happening.h"
#include "reconciler/io/source.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/pem.h"
#include "reconciler/storage/folder.h"

#define DEFAULT_PAIR_DIRECTORY "ssl"
#define DEFAULT_PAIR_FILE_MAX ((size_t)1 << 20)
#define DEFAULT_PAIR_SECONDS ((int64_t)20 * 365 * 86400) /* as Kong's */

static const struct {
    enum key_type key_type;
    const char *certificate, *key;
} made[2] = {
    {KEY_RSA_2048, "reconcert-default.crt", "reconcert-default.key"},
    {KEY_P256, "reconcert-default-ecdsa.crt", "reconcert-default-ecdsa.key"},
};

/* The next block would be taken for the one that was meant: not without a word. */
static void tell_skipped(const char *setting, enum pem_kind kind, struct str text)
{
    struct pem_reader reader = PEM_READER(kind, text);
    struct buf said = BUF_INIT(ERROR_MESSAGE_MAX);
    struct pem_block block;
    struct error ignored;

    while (pem_next(&reader, &block, &ignored) == 1)
        continue;
    pem_print_skipped(&reader, &said);
    if (said.len)
        happening_tell(HAPPENING_PEM_BLOCK_SKIPPED,
                       FIELDS(field_cstr("setting", setting), field_str("text", buf_view(&said))));
    buf_free(&said);
}

/* PEM text, or base64 of one; false: it must be a file's name. */
static bool read_text(const char *value, struct buf *out)
{
    static const char mark[] = "-----BEGIN ";
    struct str text = str_from(value);
    const struct pem_block block = {.base64 = text};
    struct error ignored;
    ptrdiff_t len;
    char *room;

    if (strstr(value, mark)) {
        buf_str(out, text);
        return true;
    }
    room = buf_reserve(out, pem_size_max(&block));
    len = room ? pem_decode(&block, (unsigned char *)room, &ignored) : -1;
    if (len < 0 || !memmem(room, (size_t)len, mark, strlen(mark)))
        return false;
    buf_commit(out, (size_t)len);
    return true;
}

/* Of the value nothing is told, for it may be a key that is nearly in one of the three forms. */
static int read_value(char *value, struct buf *out, struct error *e)
{
    const struct source_options options = {
        .paths = &value, .path_count = 1, .max_bytes = DEFAULT_PAIR_FILE_MAX};
    struct source_set *set;

    if (read_text(value, out))
        return out->failed ? error_memory(e) : 0;
    if (source_read(&options, &set, e)) {
        e->file[0] = '\0';
        return -1;
    }
    buf_append(out, set->files[0].data, set->files[0].len);
    source_free(set);
    return out->failed ? error_memory(e) : 0;
}

static int load(struct chain_pool *chains, char *certificate, char *key, struct credential **out,
                struct error *e)
{
    struct buf first = BUF_SECRET(DEFAULT_PAIR_FILE_MAX),
               second = BUF_SECRET(DEFAULT_PAIR_FILE_MAX);
    const char *setting = "ssl_cert";
    int rc = read_value(certificate, &first, e);

    if (rc == 0) {
        setting = "ssl_cert_key";
        rc = read_value(key, &second, e);
    }
    if (rc == 0) {
        tell_skipped("ssl_cert", PEM_CERTIFICATE, buf_view(&first));
        tell_skipped("ssl_cert_key", PEM_PRIVATE_KEY, buf_view(&second));
        setting = "ssl_cert and ssl_cert_key";
        *out = credential_from_pem(chains, buf_view(&first), buf_view(&second), e);
        rc = *out ? 0 : -1;
    }
    buf_free(&first);
    buf_free(&second);
    return rc ? error_prefix(e, "%s", setting) : 0;
}

static int write_file(int directory, const char *name, struct str text, struct error *e)
{
    struct folder_file f;

    if (folder_file_begin(&f, directory, name, e))
        return -1;
    return folder_file_end(&f, folder_file_write(&f, text, e), e);
}

static int make(int directory, size_t which, int64_t now, struct error *e)
{
    const struct credential_self_signed options = {.key_type = made[which].key_type,
                                                   .name = "localhost",
                                                   .not_before = now - 86400,
                                                   .not_after = now + DEFAULT_PAIR_SECONDS};
    struct credential *c = credential_make_self_signed(&options, e);
    struct buf certificate = BUF_INIT(DEFAULT_PAIR_FILE_MAX);
    struct buf key = BUF_SECRET(DEFAULT_PAIR_FILE_MAX);
    int rc = -1;

    if (c && credential_to_pem(c, &certificate, &key, e) == 0 &&
        write_file(directory, made[which].key, buf_view(&key), e) == 0)
        rc = write_file(directory, made[which].certificate, buf_view(&certificate), e);
    buf_free(&certificate);
    buf_free(&key);
    credential_unref(c);
    return rc;
}

static int load_made(const struct default_pair_options *o, size_t which, struct credential **out,
                     struct error *e)
{
    char *certificate = NULL, *key = NULL;
    int rc;

    if (asprintf(&certificate, "%s/%s/%s", o->prefix, DEFAULT_PAIR_DIRECTORY,
                 made[which].certificate) < 0 ||
        asprintf(&key, "%s/%s/%s", o->prefix, DEFAULT_PAIR_DIRECTORY, made[which].key) < 0)
        rc = error_memory(e);
    else
        rc = load(o->chains, certificate, key, out, e);
    free(certificate);
    free(key);
    return rc;
}

static int load_or_make(const struct default_pair_options *o, struct credential *pair[2],
                        struct error *e)
{
    int prefix = folder_open(o->prefix, true, e), directory, rc = 0;

    if (prefix < 0)
        return -1;
    directory = folder_open_below(prefix, DEFAULT_PAIR_DIRECTORY, true, e);
    close(prefix);
    if (directory < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        struct error why;
        if (load_made(o, i, &pair[i], &why) == 0)
            continue;
        rc = make(directory, i, o->now, e);
        if (rc == 0)
            rc = load_made(o, i, &pair[i], e);
    }
    close(directory);
    return rc;
}

int default_pair_load(const struct default_pair_options *o, struct credential *pair[2],
                      struct error *e)
{
    int rc = 0;

    pair[0] = pair[1] = NULL;
    if (!o->count)
        return load_or_make(o, pair, e);
    for (size_t i = 0; rc == 0 && i < o->count && i < 2; i++)
        if (load(o->chains, o->certificates[i], o->keys[i], &pair[i], e))
            rc = o->count > 1 ? error_prefix(e, "pair %zu", i + 1) : -1;
    return rc;
}
