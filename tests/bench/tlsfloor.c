/*
 * tlsfloor SECONDS: full TLS 1.3 handshakes of OpenSSL with itself, in memory: no socket, no event,
 * no name to find, one certificate. What a server on this machine cannot do better than. Prints
 *
 *   {"done": N, "cpu": S}   cpu: of the server's half alone
 */
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void die(const char *why)
{
    fprintf(stderr, "tlsfloor: %s\n", why);
    _Exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static X509 *self_sign(EVP_PKEY *key)
{
    X509 *x = X509_new();

    if (!x || !X509_set_version(x, X509_VERSION_3) || !X509_gmtime_adj(X509_getm_notBefore(x), 0) ||
        !X509_gmtime_adj(X509_getm_notAfter(x), 86400) || !X509_set_pubkey(x, key) ||
        !X509_sign(x, key, EVP_sha256()))
        die("no certificate");
    return x;
}

/* As a worker has it: serve/tls.c. */
static SSL_CTX *server_context(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    X509 *x = key ? self_sign(key) : NULL;

    if (!c || !x || SSL_CTX_use_certificate(c, x) != 1 || SSL_CTX_use_PrivateKey(c, key) != 1 ||
        SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") != 1)
        die("no server");
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(c, 1);
    X509_free(x);
    EVP_PKEY_free(key);
    return c;
}

/* One handshake; gives the server's share of the CPU. */
static double shake(SSL_CTX *server_context, SSL_CTX *client_context)
{
    SSL *server = SSL_new(server_context), *client = SSL_new(client_context);
    BIO *near = NULL, *far = NULL;
    double cpu = 0, began;
    int done = 0, turns = 0;

    if (!server || !client || !BIO_new_bio_pair(&near, 65536, &far, 65536))
        die("out of memory");
    SSL_set_bio(server, near, near);
    SSL_set_bio(client, far, far);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    while (done < 2) {
        done = SSL_do_handshake(client) == 1;
        began = seconds(CLOCK_THREAD_CPUTIME_ID);
        done += SSL_do_handshake(server) == 1;
        cpu += seconds(CLOCK_THREAD_CPUTIME_ID) - began;
        if (++turns > 10)
            die("the handshake does not end");
    }
    SSL_free(client);
    began = seconds(CLOCK_THREAD_CPUTIME_ID);
    SSL_free(server);
    return cpu + seconds(CLOCK_THREAD_CPUTIME_ID) - began;
}

int main(int argc, char **argv)
{
    SSL_CTX *server = server_context(), *client = SSL_CTX_new(TLS_client_method());
    double end = seconds(CLOCK_MONOTONIC) + (argc > 1 ? strtod(argv[1], NULL) : 1), cpu = 0;
    unsigned long done = 0;

    for (; seconds(CLOCK_MONOTONIC) < end; done++)
        cpu += shake(server, client);
    printf("{\"done\": %lu, \"cpu\": %.3f}\n", done, cpu);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    return 0;
}
