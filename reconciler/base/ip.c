#include "ip.h"

#include <arpa/inet.h>

int ip_parse(struct str text, unsigned char bytes[IP_BYTES_MAX])
{
    int family = str_find(text, ':', 0) < text.len ? AF_INET6 : AF_INET;
    char plain[INET6_ADDRSTRLEN];

    if (!text.len || text.len >= sizeof(plain) || memchr(text.ptr, '\0', text.len))
        return 0;
    memcpy(plain, text.ptr, text.len);
    plain[text.len] = '\0';
    return inet_pton(family, plain, bytes) == 1 ? family : 0;
}
