#include "tests/support/settings_text.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int settings_text_open(const char *text, size_t len, char path[SETTINGS_TEXT_PATH_SIZE])
{
    int fd = memfd_create("conf", MFD_CLOEXEC);

    if (fd >= 0 && write(fd, text, len) != (ssize_t)len)
        fprintf(stderr, "settings_text: cut short\n");
    snprintf(path, SETTINGS_TEXT_PATH_SIZE, "/proc/self/fd/%d", fd);
    return fd;
}

char *const *settings_text_variables(const char *const *list)
{
    return (char *const *)list;
}

char *const *settings_text_home(void)
{
    static const char *const home[] = {"HOME=/home/a", NULL};

    return settings_text_variables(home);
}

int settings_text_read(struct settings *s, const char *text, struct error *e)
{
    char path[SETTINGS_TEXT_PATH_SIZE];
    int fd = settings_text_open(text, strlen(text), path);
    int rc = settings_read(
        s, &(struct settings_input){.file = path, .environment = settings_text_home()}, e);

    close(fd);
    return rc;
}

bool settings_text_has_note(const struct settings *s, const char *text)
{
    for (size_t i = 0; i < s->note_count; i++)
        if (strstr(s->notes[i], text))
            return true;
    return false;
}
