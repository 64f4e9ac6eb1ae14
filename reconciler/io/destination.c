#include "reconciler/io/destination.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

char *destination_relative(const char *base, struct str location, struct error *e)
{
    char *text = str_dup(location), *scheme = NULL, *next = NULL, *copy = NULL;
    CURLU *url = curl_url();

    if (!text || !url)
        error_memory(e);
    else if (curl_url_set(url, CURLUPART_URL, base, 0) ||
             curl_url_set(url, CURLUPART_URL, text, 0) ||
             curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) ||
             curl_url_get(url, CURLUPART_URL, &next, 0))
        error_set(e, ERROR_PROTOCOL, "a redirect to something that is not a URL");
    else if (strcmp(scheme, "https") != 0)
        error_set(e, ERROR_PROTOCOL, "a redirect away from https");
    else if (!(copy = strdup(next)))
        error_memory(e);
    curl_free(scheme);
    curl_free(next);
    curl_url_cleanup(url);
    free(text);
    return copy;
}

/* libcurl's own default for a proxy without a port. */
#define URL_PROXY_PORT "1080"

/* Host and port as libcurl reads them, to be freed with curl_free. */
static int split(const char *url, const char *proxy, char **host, char **port, struct error *e)
{
    const unsigned lax = proxy ? CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME : 0;
    CURLU *u = curl_url();
    int rc = 0;

    if (!u || curl_url_set(u, CURLUPART_URL, proxy ? proxy : url, lax) ||
        curl_url_get(u, CURLUPART_HOST, host, 0))
        rc = error_set(e, ERROR_NETWORK, proxy ? "not a usable proxy URL" : "not a usable URL");
    else if (curl_url_get(u, CURLUPART_PORT, port, CURLU_DEFAULT_PORT) && !proxy)
        rc = error_set(e, ERROR_NETWORK, "a URL without a port");
    curl_url_cleanup(u);
    return rc;
}

int destination_connect_to(const char *url, const char *proxy, char **host, char **port,
                           struct error *e)
{
    char *found_host = NULL, *found_port = NULL;
    struct str bare;
    int rc = split(url, proxy, &found_host, &found_port, e);

    if (rc == 0) {
        bare = str_from(found_host);
        if (bare.len > 2 && bare.ptr[0] == '[')
            bare = str_slice(bare, 1, bare.len - 1);
        *host = str_dup(bare);
        *port = strdup(found_port ? found_port : URL_PROXY_PORT);
        if (!*host || !*port) {
            free(*host);
            free(*port);
            rc = error_memory(e);
        }
    }
    curl_free(found_host);
    curl_free(found_port);
    return rc;
}

/* no_proxy: a comma list of host endings, or "*". */
static bool is_exempt(struct str host)
{
    struct str rest = str_from(getenv("no_proxy") ? getenv("no_proxy") : getenv("NO_PROXY"));

    while (rest.ptr) {
        struct str one = str_trim(str_cut(rest, ',', &rest));
        if (str_equal(one, STR("*")))
            return true;
        if (one.len && one.ptr[0] == '.')
            one = str_slice(one, 1, one.len);
        if (!one.len || host.len < one.len ||
            !str_equal_nocase(str_slice(host, host.len - one.len, host.len), one))
            continue;
        if (host.len == one.len || host.ptr[host.len - one.len - 1] == '.')
            return true;
    }
    return false;
}

const char *destination_proxy(const char *url)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    CURLU *u = curl_url();
    const char *proxy = NULL;
    char *host = NULL;

    for (size_t i = 0; !proxy && i < ARRAY_LENGTH(names); i++)
        proxy = getenv(names[i]);
    if (proxy && (!u || curl_url_set(u, CURLUPART_URL, url, 0) ||
                  curl_url_get(u, CURLUPART_HOST, &host, 0) || is_exempt(str_from(host))))
        proxy = NULL;
    curl_free(host);
    curl_url_cleanup(u);
    return proxy && proxy[0] ? proxy : NULL;
}
