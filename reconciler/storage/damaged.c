#include "damaged.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "reconciler/base/whole.h"
#include "file.h"

static int keep_range(int fd, int log, const struct replay_damage *d)
{
    char bytes[4096];
    int len = snprintf(bytes, sizeof(bytes), "\n--- %" PRIu64 " bytes at byte %" PRIu64 "\n",
                       d->size, d->at);
    int rc = whole_write(fd, (struct str){bytes, (size_t)len});

    for (uint64_t done = 0; !rc && done < d->size;) {
        uint64_t left = d->size - done;
        size_t want = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
        ssize_t got = whole_read_at(log, bytes, want, d->at + done);
        /* What the disk does not give back cannot be kept either. */
        if (got <= 0)
            break;
        rc = whole_write(fd, (struct str){bytes, (size_t)got});
        done += (uint64_t)got;
    }
    explicit_bzero(bytes, sizeof(bytes));
    return rc;
}

int damaged_keep(int directory, int log, const struct replay_damage *damages, size_t count,
                 struct error *e)
{
    struct stat st;
    uint64_t used;
    int rc = -1;
    int fd;

    if (!count)
        return 0;
    fd = folder_open_file(directory, DAMAGED_NAME, O_WRONLY | O_CREAT | O_APPEND, e);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st))
        goto out;
    used = (uint64_t)st.st_size;
    for (size_t i = 0; i < count && used + damages[i].size <= FILE_DAMAGED_MAX; i++) {
        if (keep_range(fd, log, &damages[i]))
            goto out;
        used += damages[i].size;
    }
    rc = fsync(fd) || fsync(directory) ? -1 : 0;
out:
    if (rc)
        error_errno(e, ERROR_STORAGE, errno, "damaged bytes cannot be put aside");
    close(fd);
    return rc;
}
