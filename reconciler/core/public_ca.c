#include "reconciler/core/public_ca.h"

#include <stddef.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/hostname.h"

#define LABEL_MAX 63 /* RFC 1035 §2.3.4 */

static const struct str lets_encrypt = STR_INIT("letsencrypt.org");

/*
 * Domains whose ACME directories serve the web PKI only. CAs that sell private hierarchies over the
 * same host are left out: there any name may be right.
 */
static const struct str public_cas[] = {
    STR_INIT("letsencrypt.org"), STR_INIT("zerossl.com"), STR_INIT("pki.goog"),
    STR_INIT("buypass.com"),     STR_INIT("buypass.no"),  STR_INIT("ssl.com"),
    STR_INIT("actalis.com"),     STR_INIT("harica.gr"),
};

/* Last labels that no public CA certifies: RFC 2606, 6761, 6762, 7686, and what networks use at
 * home. */
static const struct str private_labels[] = {
    STR_INIT("localhost"), STR_INIT("local"), STR_INIT("internal"),
    STR_INIT("invalid"),   STR_INIT("onion"), STR_INIT("test"),
    STR_INIT("example"),   STR_INIT("alt"),   STR_INIT("lan"),
};

/* The host of a URL: without scheme, user, port and path. */
static struct str host_of(struct str url)
{
    size_t start = 0, end, at;

    for (size_t i = 0; i + 2 < url.len; i++)
        if (memcmp(url.ptr + i, "://", 3) == 0) {
            start = i + 3;
            break;
        }
    for (end = start; end < url.len && !strchr("/?#", url.ptr[end]); end++)
        ;
    for (at = start; at < end; at++)
        if (url.ptr[at] == '@')
            start = at + 1;
    if (start < end && url.ptr[start] != '[') {
        at = str_find(url, ':', start);
        end = at < end ? at : end;
    }
    if (end > start && url.ptr[end - 1] == '.')
        end--;
    return str_slice(url, start, end);
}

bool public_ca_runs(struct str directory)
{
    struct str host = host_of(directory);

    for (size_t i = 0; i < ARRAY_LENGTH(public_cas); i++)
        if (hostname_lies_under(host, public_cas[i]))
            return true;
    return false;
}

bool public_ca_is_lets_encrypt(struct str directory)
{
    return hostname_lies_under(host_of(directory), lets_encrypt);
}

/* RFC 1035 §2.3.1, RFC 5890 §2.3.1: what is wrong with one label, or NULL. */
static const char *label_fault(struct str label)
{
    if (!label.len)
        return "it has an empty label";
    if (label.len > LABEL_MAX)
        return "one of its labels is longer than 63 characters";
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return "one of its labels begins or ends with a hyphen";
    return memchr(label.ptr, '_', label.len) ? "it holds an underscore" : NULL;
}

const char *public_ca_refuses(struct str name)
{
    struct str rest = name, label = STR_NONE;
    const char *fault = NULL;
    size_t labels = 0;

    if (hostname_is_ipv4(name))
        return "it is an IP address";
    for (; rest.ptr && !fault; labels++) {
        label = str_cut(rest, '.', &rest);
        fault = label_fault(label);
    }
    if (fault)
        return fault;
    if (labels < 2)
        return "it has only one label";
    if (hostname_is_numeric(label))
        return "its last label is a number";
    for (size_t i = 0; i < ARRAY_LENGTH(private_labels); i++)
        if (str_equal(label, private_labels[i]))
            return "its last label is reserved for private or special use";
    return hostname_lies_under(name, STR("home.arpa")) ? "home.arpa is for homes only" : NULL;
}
