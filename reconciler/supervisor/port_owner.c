#include "port_owner.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

#define LISTENING 0x0a /* TCP_LISTEN in /proc/net/tcp (proc(5)) */
#define LINE_MAX_BYTES 512
#define NAME_MAX_BYTES 64

/* The inode of a socket that listens there; 0: none in this table. */
static unsigned long find_inode(const char *table, uint16_t port)
{
    FILE *f = fopen(table, "re");
    char line[LINE_MAX_BYTES];
    unsigned long inode = 0;

    while (f && !inode && fgets(line, sizeof(line), f)) {
        unsigned at, state;
        unsigned long found;

        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu",
                   &at, &state, &found) == 3 &&
            at == port && state == LISTENING)
            inode = found;
    }
    if (f)
        fclose(f);
    return inode;
}

/* Has the process this socket among its descriptors? */
static bool has_socket(const char *pid, const char *socket)
{
    char path[PATH_MAX], link[NAME_MAX_BYTES];
    const struct dirent *entry;
    bool has = false;
    DIR *folder;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    folder = opendir(path);
    while (folder && !has && (entry = readdir(folder))) {
        ssize_t len = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);

        link[len > 0 ? len : 0] = '\0';
        has = strcmp(link, socket) == 0;
    }
    if (folder)
        closedir(folder);
    return has;
}

static void print_process(const char *pid, struct buf *out)
{
    char path[PATH_MAX], name[NAME_MAX_BYTES] = "";
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    f = fopen(path, "re");
    if (f && !fgets(name, sizeof(name), f))
        name[0] = '\0';
    if (f)
        fclose(f);
    buf_escaped(out, str_trim(str_from(name)));
    buf_printf(out, " (process %.20s)", pid);
}

/* False: none that we may look at has it. */
static bool print_holder(unsigned long inode, struct buf *out)
{
    const struct dirent *entry;
    char socket[NAME_MAX_BYTES];
    DIR *folder = opendir("/proc");
    bool is_found = false;

    snprintf(socket, sizeof(socket), "socket:[%lu]", inode);
    while (folder && !is_found && (entry = readdir(folder))) {
        is_found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
                   has_socket(entry->d_name, socket);
        if (is_found)
            print_process(entry->d_name, out);
    }
    if (folder)
        closedir(folder);
    return is_found;
}

void port_owner_print(uint16_t port, struct buf *out)
{
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    unsigned long inode = 0;

    for (size_t i = 0; !inode && i < ARRAY_LENGTH(tables); i++)
        inode = find_inode(tables[i], port);
    if (!inode)
        buf_cstr(out, "an unknown process");
    else if (!print_holder(inode, out))
        buf_cstr(out, "a process that only root may look at");
}
