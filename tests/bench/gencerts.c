/*
 * gencerts N FILE [-a FILE2] [-p FOLDER]: a kong.yaml with N declared certificates (leaf and
 * intermediate, P-256, with keys), and what its peers need:
 *   -a FILE2   the same, but with another certificate for the last name
 *   -p FOLDER  each as NAME.pem: leaf, intermediate, key
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaf.h"

#define PEM_MAX 4096

/* One certificate with chain and key as PEM text. */
struct pair {
    char name[LEAF_NAME_SIZE];
    char certificates[PEM_MAX], key[PEM_MAX];
};

static void take(BIO *memory, char *out)
{
    int n = BIO_read(memory, out, PEM_MAX - 1);

    out[n > 0 ? n : 0] = '\0';
}

static int make_pair(struct leaf_maker *m, unsigned number, struct pair *p)
{
    unsigned char point[LEAF_POINT_SIZE], der[LEAF_DER_MAX];
    EVP_PKEY *key = leaf_key(point);
    size_t size = key ? leaf_make(m, number, point, der) : 0;
    BIO *memory = BIO_new(BIO_s_mem());
    int rc;

    leaf_name(number, p->name);
    rc = size && PEM_write_bio(memory, "CERTIFICATE", "", der, (long)size) &&
         PEM_write_bio_X509(memory, leaf_maker_issuer(m));
    take(memory, p->certificates);
    rc = rc && PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL);
    take(memory, p->key);
    BIO_free(memory);
    EVP_PKEY_free(key);
    return rc;
}

static void print_block(FILE *out, const char *field, const char *text)
{
    fprintf(out, "%s: |\n", field);
    while (*text) {
        size_t n = strcspn(text, "\n");
        fprintf(out, "      %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void print_entity(FILE *out, const struct pair *p)
{
    print_block(out, "  - cert", p->certificates);
    print_block(out, "    key", p->key);
    fprintf(out, "    snis:\n      - name: %s\n", p->name);
}

static int print_file(const char *folder, const struct pair *p)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.pem", folder, p->name);
    f = fopen(path, "w");
    if (!f)
        return 0;
    fprintf(f, "%s%s", p->certificates, p->key);
    return fclose(f) == 0;
}

static FILE *open_document(const char *path)
{
    FILE *f = path ? fopen(path, "w") : NULL;

    if (f)
        fputs("_format_version: \"3.0\"\ncertificates:\n", f);
    return f;
}

int main(int argc, char **argv)
{
    const char *altered = NULL, *folder = NULL;
    struct leaf_maker *m = leaf_maker_new(1, 90);
    unsigned count;
    struct pair p;
    FILE *out, *other;
    int option, rc = m ? 0 : 1;

    while ((option = getopt(argc, argv, "a:p:")) > 0)
        *(option == 'a' ? &altered : &folder) = optarg;
    if (argc - optind != 2)
        return 64;
    count = (unsigned)strtoul(argv[optind], NULL, 10);
    out = open_document(argv[optind + 1]);
    other = open_document(altered);
    if (!out || (altered && !other))
        return 1;
    if (folder)
        mkdir(folder, 0755);
    for (unsigned i = 0; i < count && rc == 0; i++) {
        rc = !make_pair(m, i, &p) || (folder && !print_file(folder, &p));
        print_entity(out, &p);
        if (other && i + 1 == count)
            rc = rc || !make_pair(m, i, &p);
        if (other)
            print_entity(other, &p);
    }
    rc = fclose(out) || (other && fclose(other)) || rc;
    leaf_maker_free(m);
    return rc;
}
