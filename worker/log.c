#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log_format.h"
#include "log_limit.h"
#include "log_output.h"
#include "utf8.h"

#define TEXT_SIZE 3072

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static enum log_level threshold = LOG_LEVEL_INFO;
static enum log_format own_format = LOG_FORMAT_LOGFMT;
static const char *own_role = "";

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_read(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_COUNT(level_names); i++) {
        if (strcmp(text, level_names[i]) != 0) continue;
        *ret_level = (enum log_level)i;
        return true;
    }
    return false;
}

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

void log_init_named(const char *level_name, const char *format_name, const char *role)
{
    enum log_level level = LOG_LEVEL_INFO;
    if (!log_level_read(level_name, &level)) level = LOG_LEVEL_INFO;
    log_init(level, role);
    if (strcmp(format_name, "json") == 0) own_format = LOG_FORMAT_JSON;
    if (strcmp(format_name, "journal") == 0) own_format = LOG_FORMAT_JOURNAL;
    if (strcmp(format_name, "logfmt") == 0) own_format = LOG_FORMAT_LOGFMT;
}

void log_init(enum log_level level, const char *role)
{
    threshold = level;
    own_role = role;
    own_format = stderr_is_journal() ? LOG_FORMAT_JOURNAL : LOG_FORMAT_LOGFMT;
    log_output_init();
}

void log_init_quiet(const char *level_name, const char *role)
{
    log_init_named(level_name, "auto", role);
    if (threshold != LOG_LEVEL_DEBUG) threshold = LOG_LEVEL_ERROR;
}

static void print(enum log_level level, const char *event, const char *text, bool is_cut, uint64_t suppressed)
{
    char line[LOG_LINE_SIZE];
    const struct log_record record = {
        .wall_ms = clock_wall_ms(),
        .level = level,
        .pid = (int)getpid(),
        .role = own_role,
        .event = event,
        .text = text,
        .is_cut = is_cut,
        .suppressed = suppressed,
        .lost = log_output_lost(),
    };
    log_output_write(line, log_format(own_format, &record, line), record.lost);
}

/* Counts that nobody would hear of otherwise. */
static void print_overdue(int64_t now_ms)
{
    enum log_level level;
    uint64_t suppressed;
    const char *event;
    while ((event = log_limit_overdue(now_ms, &level, &suppressed)) != NULL)
        print(level, event, "came again and again and was not told each time", false, suppressed);
}

/* A character that was cut in its middle goes altogether. */
static void drop_torn_character(char *text)
{
    size_t size = strlen(text);
    size_t tails = 0;
    while (tails < 4 && tails < size && utf8_is_tail((unsigned char)text[size - 1 - tails])) tails++;
    if (tails >= size) return;
    char *lead = text + size - 1 - tails;
    if ((unsigned char)*lead >= 0xC0 && utf8_size(lead, text + size) == 0) *lead = '\0';
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    if (level > threshold) return;
    int saved = errno;
    char text[TEXT_SIZE];
    uint64_t suppressed;
    const int64_t now_ms = clock_now_ms();
    if (log_limit_pass(event, level, now_ms, &suppressed)) {
        va_list values;
        va_start(values, format);
        const bool is_cut = vsnprintf(text, sizeof text, format, values) >= (int)sizeof text;
        va_end(values);
        if (is_cut) drop_torn_character(text);
        print(level, event, text, is_cut, suppressed);
    }
    print_overdue(now_ms);
    errno = saved;
}
