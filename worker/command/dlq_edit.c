#include "command/dlq_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exit_code.h"

#define READ_SIZE    65536
#define VALUE_MAX    ((size_t)64 * 1024 * 1024)
#define COMMAND_SIZE 4096

static bool complain(const char *command, const char *what, const char *path, int *ret_exit_code)
{
    (void)fprintf(stderr, "winnow %s: cannot %s %s: %s\n", command, what, path, strerror(errno));
    *ret_exit_code = EXIT_BAD_USAGE;
    return false;
}

static bool read_all(int fd, struct buffer *ret_value)
{
    ssize_t size;
    do {
        size = read(fd, buffer_reserve(ret_value, READ_SIZE), READ_SIZE);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return false;
        ret_value->size += (size_t)size;
        if (ret_value->size > VALUE_MAX) {
            errno = EFBIG;
            return false;
        }
    } while (size != 0);
    return true;
}

static void take_off_line_break(struct buffer *value)
{
    if (value->size > 0 && value->data[value->size - 1] == '\n') value->size--;
}

bool read_value(const char *command, const char *path, struct buffer *ret_value, int *ret_exit_code)
{
    const bool input = strcmp(path, "-") == 0;
    int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return complain(command, "open", path, ret_exit_code);
    bool read = read_all(fd, ret_value) || complain(command, "read", path, ret_exit_code);
    if (!input) (void)close(fd);
    take_off_line_break(ret_value);
    return read;
}

static bool write_all(int fd, struct slice value)
{
    for (size_t done = 0; done < value.size;) {
        ssize_t size = write(fd, value.data + done, value.size - done);
        if (size < 0 && errno != EINTR) return false;
        done += size > 0 ? (size_t)size : 0;
    }
    return true;
}

/* Through the shell: the variable may hold options ("code --wait"). The path is ours and needs no quotes. */
static bool run_editor(const char *command, const char *path, int *ret_exit_code)
{
    char line[COMMAND_SIZE];
    const char *editor = getenv("VISUAL");
    if (editor == NULL || editor[0] == '\0') editor = getenv("EDITOR");
    if (editor == NULL || editor[0] == '\0') editor = "vi";
    (void)snprintf(line, sizeof line, "%s '%s'", editor, path);
    int status = system(line); /* NOLINT(cert-env33-c): what the user asked for, by the user's own shell */
    if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    (void)fprintf(stderr,
                  "winnow %s: the editor %s did not end well; nothing was sent (see $EDITOR, or use "
                  "--edit-with FILE)\n",
                  command, editor);
    *ret_exit_code = EXIT_BAD_USAGE;
    return false;
}

static bool edit_file(const char *command, const char *path, int fd, struct slice value,
                      struct buffer *ret_value, int *ret_exit_code)
{
    if (!write_all(fd, value)) return complain(command, "write", path, ret_exit_code);
    if (!run_editor(command, path, ret_exit_code)) return false;
    /* editors write a new file and put it in the place of the old one */
    if (!read_value(command, path, ret_value, ret_exit_code)) return false;
    if (value.size > 0 && value.data[value.size - 1] == '\n') (void)buffer_add(ret_value, "\n", 1);
    return true;
}

bool edit_value(const char *command, struct slice value, struct buffer *ret_value, int *ret_exit_code)
{
    char path[512];
    const char *folder = getenv("TMPDIR");
    (void)snprintf(path, sizeof path, "%.400s/winnow-XXXXXX.json",
                   folder != NULL && folder[0] != '\0' && strchr(folder, '\'') == NULL ? folder : P_tmpdir);
    int fd = mkostemps(path, 5, O_CLOEXEC);
    if (fd < 0) return complain(command, "make", path, ret_exit_code);
    bool edited = edit_file(command, path, fd, value, ret_value, ret_exit_code);
    (void)close(fd);
    (void)unlink(path);
    return edited;
}
