#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define LINE_SIZE 4096 /* PIPE_BUF: a line of this size is not torn by other writers to the same pipe */
#define TEXT_SIZE 3072

static const struct {
    const char *name;
    char priority; /* of syslog(3) */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", '3'},
    [LOG_LEVEL_WARNING] = {"warning", '4'},
    [LOG_LEVEL_INFO] = {"info", '6'},
    [LOG_LEVEL_DEBUG] = {"debug", '7'},
};

static enum log_level threshold = LOG_LEVEL_INFO;
static const char *own_role = "";
static bool to_journal = false;

/* systemd.exec(5): JOURNAL_STREAM holds device and inode of the journal's stream; the variable may be
 * inherited by a process whose standard error goes elsewhere. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0) return false;
    char own[64];
    (void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(stream, own) == 0;
}

void log_init(enum log_level level, const char *role)
{
    threshold = level;
    own_role = role;
    to_journal = stderr_is_journal();
}

bool log_level_read(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++) {
        if (strcmp(text, levels[i].name) != 0) continue;
        *ret_level = (enum log_level)i;
        return true;
    }
    return false;
}

/* The escape of the character at `at`, "" when it needs none. Returns how many bytes it stands for. */
static size_t escape(const char *at, char ret_escape[8])
{
    unsigned char byte = (unsigned char)*at;
    unsigned char next = (unsigned char)at[1]; /* at the end: the NUL */
    ret_escape[0] = '\0';
    if (byte == '"' || byte == '\\')
        (void)snprintf(ret_escape, 8, "\\%c", byte);
    else if (byte == '\n')
        (void)snprintf(ret_escape, 8, "\\n");
    else if (byte < 0x20 || byte == 0x7F)
        (void)snprintf(ret_escape, 8, "\\x%02x", byte);
    else if (byte == 0xC2 && next >= 0x80 && next < 0xA0)
        (void)snprintf(ret_escape, 8, "\\u%04x", next);
    return byte == 0xC2 && ret_escape[0] != '\0' ? 2 : 1;
}

/* Adds the text in quotes and the end of the line; there is always room for these. */
static size_t add_quoted(char *line, size_t size, const char *text)
{
    line[size++] = '"';
    for (const char *at = text; *at != '\0';) {
        char shown[8];
        size_t taken = escape(at, shown);
        size_t length = shown[0] != '\0' ? strlen(shown) : taken;
        if (size + length + 2 > LINE_SIZE) break;
        memcpy(line + size, shown[0] != '\0' ? shown : at, length);
        size += length;
        at += taken;
    }
    line[size++] = '"';
    line[size++] = '\n';
    return size;
}

static size_t add_head(char *line, enum log_level level, const char *event)
{
    int64_t now_ms = clock_wall_ms();
    time_t now = (time_t)(now_ms / 1000);
    struct tm utc;
    char when[32];
    if (gmtime_r(&now, &utc) == NULL) abort();
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    char priority[4] = {'<', levels[level].priority, '>', '\0'};
    const char *quote = strchr(own_role, ' ') != NULL ? "\"" : "";
    int size = snprintf(line, LINE_SIZE / 2,
                        "%stime=%s.%03dZ level=%s%s%s%s%s event=%s msg=", to_journal ? priority : "", when,
                        (int)(now_ms % 1000), levels[level].name, own_role[0] != '\0' ? " role=" : "", quote,
                        own_role, quote, event);
    if (size < 0 || size >= LINE_SIZE / 2) abort(); /* event and role are the program's own */
    return (size_t)size;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    if (level > threshold) return;
    int saved = errno;
    char text[TEXT_SIZE];
    char line[LINE_SIZE];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    size_t size = add_quoted(line, add_head(line, level, event), text);
    /* Nobody could be told that the log cannot be written, so its result does not matter. */
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line, size);
    } while (written < 0 && errno == EINTR);
    errno = saved;
}

void log_init_quiet(const char *level_name, const char *role)
{
    enum log_level level = LOG_LEVEL_ERROR;
    if (log_level_read(level_name, &level) && level != LOG_LEVEL_DEBUG) level = LOG_LEVEL_ERROR;
    log_init(level, role);
}
