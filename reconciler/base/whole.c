#include "whole.h"

#include <errno.h>
#include <unistd.h>

/* Of the position that the descriptor itself has. */
#define IN_PLACE ((off_t)-1)

static int write_all(int fd, struct str bytes, off_t at)
{
    size_t done = 0;

    while (done < bytes.len) {
        ssize_t n = at == IN_PLACE
                        ? write(fd, bytes.ptr + done, bytes.len - done)
                        : pwrite(fd, bytes.ptr + done, bytes.len - done, at + (off_t)done);

        if (n == 0)
            errno = EIO;
        if (n == 0 || (n < 0 && errno != EINTR))
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static ssize_t read_all(int fd, char *to, size_t len, off_t at)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = at == IN_PLACE ? read(fd, to + done, len - done)
                                   : pread(fd, to + done, len - done, at + (off_t)done);

        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

int whole_write(int fd, struct str bytes)
{
    return write_all(fd, bytes, IN_PLACE);
}

int whole_write_at(int fd, struct str bytes, uint64_t offset)
{
    return write_all(fd, bytes, (off_t)offset);
}

ssize_t whole_read(int fd, void *to, size_t len)
{
    return read_all(fd, to, len, IN_PLACE);
}

ssize_t whole_read_at(int fd, void *to, size_t len, uint64_t offset)
{
    return read_all(fd, to, len, (off_t)offset);
}
