#include "reconciler/cli/client/ask.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "reconciler/cli/text/output.h"
#include "reconciler/admin/status.h"

#define ASK_PATH_MAX 512
#define ASK_CONNECT_TIMEOUT_MS 5000L

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
    struct buf *body = context;

    return buf_append(body, bytes, size * count) ? 0 : size * count;
}

static int refuse_errno(const char *prefix, long number, struct error *e)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return error_set(
            e, ERROR_IO,
            "no server is running with prefix %s (-c or --set prefix=... names another)", prefix);
    case EACCES:
    case EPERM:
        return error_set(e, ERROR_IO,
                         "not allowed to ask the server with prefix %s: be its user, or root",
                         prefix);
    default:
        return error_errno(e, ERROR_IO, (int)number, "cannot ask the server with prefix %s",
                           prefix);
    }
}

static int refuse_curl(CURL *easy, CURLcode rc, const struct buf *body, const char *prefix,
                       struct error *e)
{
    long number = 0;

    if (rc == CURLE_WRITE_ERROR && body->failed)
        return error_set(e, ERROR_LIMIT, "the server's answer has more than %zu bytes", body->max);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return error_set(e, ERROR_TIMEOUT, "the server with prefix %s does not answer", prefix);
    if (rc == CURLE_COULDNT_CONNECT && curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number) == 0 &&
        number)
        return refuse_errno(prefix, number, e);
    return error_set(e, ERROR_IO, "asking the server with prefix %s: %s", prefix,
                     curl_easy_strerror(rc));
}

/* `socket` NULL: over the network. */
static void prepare(CURL *easy, const char *socket, const char *url, struct buf *body)
{
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, socket ? "http" : "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, ASK_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ASK_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
}

/* `text` NULL: a GET, else it is posted. */
static int perform(int directory, const char *prefix, const char *path, const struct str *text,
                   struct buf *body, struct error *e)
{
    char socket[ASK_PATH_MAX], url[ASK_PATH_MAX];
    CURL *easy = curl_easy_init();
    long status = 0;
    CURLcode code;
    int rc = -1;

    if (!easy)
        return error_memory(e);
    /* Through the descriptor: a prefix may be longer than a socket's address. */
    snprintf(socket, sizeof(socket), "/proc/self/fd/%d/%s", directory, STATUS_SOCKET);
    snprintf(url, sizeof(url), "http://localhost%s", path);
    prepare(easy, socket, url, body);
    if (text) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)text->len);
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, text->len ? text->ptr : "");
    }
    code = curl_easy_perform(easy);
    if (code != CURLE_OK)
        refuse_curl(easy, code, body, prefix, e);
    else if (curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) || status != 200)
        error_set(e, ERROR_PROTOCOL, "the server with prefix %s answered %ld", prefix, status);
    else
        rc = 0;
    curl_easy_cleanup(easy);
    return rc;
}

static int ask(const char *prefix, const char *path, const struct str *text, struct buf *body,
               struct error *e)
{
    int directory = open(prefix, O_PATH | O_DIRECTORY | O_CLOEXEC), number = errno;
    char shown[ERROR_PATH_MAX];
    int rc;

    output_quote(prefix, shown, sizeof(shown));
    if (directory < 0)
        return refuse_errno(shown, number, e);
    rc = perform(directory, shown, path, text, body, e);
    close(directory);
    return rc;
}

int ask_server(const char *prefix, const char *path, struct buf *body, struct error *e)
{
    return ask(prefix, path, NULL, body, e);
}

int ask_server_to(const char *prefix, const char *path, struct str text, struct buf *body,
                  struct error *e)
{
    return ask(prefix, path, &text, body, e);
}

static int get_url(CURL *easy, const char *url, const char *shown, struct buf *body,
                   struct error *e)
{
    long status = 0;
    CURLcode code;

    prepare(easy, NULL, url, body);
    code = curl_easy_perform(easy);
    if (code == CURLE_WRITE_ERROR && body->failed)
        return error_set(e, ERROR_LIMIT, "the answer of %s has more than %zu bytes", shown,
                         body->max);
    if (code != CURLE_OK)
        return error_set(e, code == CURLE_OPERATION_TIMEDOUT ? ERROR_TIMEOUT : ERROR_IO,
                         "asking %s: %s", shown, curl_easy_strerror(code));
    if (curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) || status != 200)
        return error_set(e, ERROR_PROTOCOL, "%s answered %ld", shown, status);
    return 0;
}

int ask_url(const char *url, struct buf *body, struct error *e)
{
    char shown[ERROR_PATH_MAX];
    CURL *easy = curl_easy_init();
    int rc;

    if (!easy)
        return error_memory(e);
    rc = get_url(easy, url, output_quote(url, shown, sizeof(shown)), body, e);
    curl_easy_cleanup(easy);
    return rc;
}
