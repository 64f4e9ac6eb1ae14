#include "reconciler/acme/url.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/acme/step.h"

static const struct str scheme = STR_INIT("https://");

/* What lies between the scheme and the path. */
static struct str authority_of(struct str url)
{
    size_t end = scheme.len;

    while (end < url.len && !strchr("/?#", url.ptr[end]))
        end++;
    return str_slice(url, scheme.len, end);
}

bool acme_url_is_usable(struct str url)
{
    struct str authority;

    if (url.len > ACME_URL_MAX || !str_equal_nocase(str_slice(url, 0, scheme.len), scheme))
        return false;
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] <= ' ' || url.ptr[i] > '~' || strchr("\"<>\\^`{|}", url.ptr[i]))
            return false;
    authority = authority_of(url);
    return authority.len && authority.ptr[0] != ':' && str_find(authority, '@', 0) == authority.len;
}

char *acme_url_resolve(struct str reference, struct str base)
{
    struct str authority;
    char *url;

    if (!str_starts(reference, STR("/")) || str_starts(reference, STR("//")))
        return acme_url_is_usable(reference) ? str_dup(reference) : NULL;
    authority = authority_of(base);
    url = malloc(scheme.len + authority.len + reference.len + 1);
    if (!url)
        return NULL;
    memcpy(url, scheme.ptr, scheme.len);
    memcpy(url + scheme.len, authority.ptr, authority.len);
    memcpy(url + scheme.len + authority.len, reference.ptr, reference.len);
    url[scheme.len + authority.len + reference.len] = '\0';
    if (!acme_url_is_usable(str_from(url))) {
        free(url);
        return NULL;
    }
    return url;
}
