#include "log_format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utf8.h"

#define HEAD_MAX  512 /* everything but the text */
#define TAIL_SIZE 96
#define SHOWN_MAX 8 /* bytes of one character, escaped */

static const char ellipsis[] = "\xe2\x80\xa6";

/* A line in the making. */
struct line {
    char *bytes;
    size_t size;
};

static void add(struct line *line, const char *format, ...) PRINTF_LIKE(2, 3);

static void add(struct line *line, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int size = vsnprintf(line->bytes + line->size, HEAD_MAX - line->size, format, values);
    va_end(values);
    if (size < 0 || (size_t)size >= HEAD_MAX - line->size) abort(); /* role and event are the program's own */
    line->size += (size_t)size;
}

/* Control characters of ASCII, U+0080 to U+009F, which terminals obey too, and the ends of lines U+2028 and
 * U+2029. Returns the bytes that one
 * character takes at `at`, and in ret_shown what is written for it: "" when it stands for itself. */
static size_t escape(enum log_format format, const char *at, const char *end, char ret_shown[SHOWN_MAX])
{
    const unsigned char byte = (unsigned char)*at;
    const size_t size = utf8_size(at, end);
    const bool json = format == LOG_FORMAT_JSON;
    ret_shown[0] = '\0';
    if (size == 0)
        (void)snprintf(ret_shown, SHOWN_MAX, json ? "\\ufffd" : "\\x%02x", byte);
    else if (byte == '"' || byte == '\\')
        (void)snprintf(ret_shown, SHOWN_MAX, "\\%c", byte);
    else if (byte == '\n')
        (void)snprintf(ret_shown, SHOWN_MAX, "\\n");
    else if (byte < 0x20 || byte == 0x7F)
        (void)snprintf(ret_shown, SHOWN_MAX, json ? "\\u%04x" : "\\x%02x", byte);
    else if (byte == 0xC2 && (unsigned char)at[1] < 0xA0)
        (void)snprintf(ret_shown, SHOWN_MAX, "\\u%04x", (unsigned char)at[1]);
    else if (size == 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 || memcmp(at, "\xe2\x80\xa9", 3) == 0))
        (void)snprintf(ret_shown, SHOWN_MAX, at[2] == '\xa8' ? "\\u2028" : "\\u2029");
    return size == 0 ? 1 : size;
}

/* Adds the text in quotes, and leaves `reserved` bytes behind it free. */
static void add_quoted(struct line *line, enum log_format format, const struct log_record *record,
                       size_t reserved)
{
    const char *end = record->text + strlen(record->text);
    const size_t room = LOG_LINE_SIZE - reserved - (sizeof ellipsis - 1) - 1; /* and the quote */
    bool cut = record->is_cut;
    line->bytes[line->size++] = '"';
    for (const char *at = record->text; at < end;) {
        char shown[SHOWN_MAX];
        const size_t taken = escape(format, at, end, shown);
        const size_t size = shown[0] != '\0' ? strlen(shown) : taken;
        if (line->size + size > room) {
            cut = true;
            break;
        }
        memcpy(line->bytes + line->size, shown[0] != '\0' ? shown : at, size);
        line->size += size;
        at += taken;
    }
    if (cut) {
        memcpy(line->bytes + line->size, ellipsis, sizeof ellipsis - 1);
        line->size += sizeof ellipsis - 1;
    }
    line->bytes[line->size++] = '"';
}

static void print_time(int64_t wall_ms, char *ret_text, size_t size)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    char when[32];
    if (gmtime_r(&seconds, &utc) == NULL) abort();
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(ret_text, size, "%s.%03dZ", when, (int)(wall_ms % 1000));
}

/* Where the number in "worker 3" begins; NULL when there is none. */
static const char *number_in(const char *role)
{
    const char *space = strchr(role, ' ');
    if (space == NULL || space[1] == '\0' || space[1 + strspn(space + 1, "0123456789")] != '\0') return NULL;
    return space + 1;
}

static void add_role(struct line *line, enum log_format format, const char *role)
{
    const char *number = number_in(role);
    const bool json = format == LOG_FORMAT_JSON;
    const int size = number != NULL ? (int)(number - role) - 1 : (int)strlen(role);
    if (role[0] == '\0') return;
    add(line, json ? "\"role\":\"%.*s\"," : "role=%.*s ", size, role);
    if (number != NULL) add(line, json ? "\"worker\":%s," : "worker=%s ", number);
}

static void add_head(struct line *line, enum log_format format, const struct log_record *record)
{
    static const char priorities[] = {/* of syslog(3) */
                                      [LOG_LEVEL_ERROR] = '3',
                                      [LOG_LEVEL_WARNING] = '4',
                                      [LOG_LEVEL_INFO] = '6',
                                      [LOG_LEVEL_DEBUG] = '7'};
    const bool json = format == LOG_FORMAT_JSON;
    char when[48];
    print_time(record->wall_ms, when, sizeof when);
    if (format == LOG_FORMAT_JOURNAL) add(line, "<%c>", priorities[record->level]);
    add(line, json ? "{\"time\":\"%s\",\"level\":\"%s\",\"pid\":%d," : "time=%s level=%s pid=%d ", when,
        log_level_name(record->level), record->pid);
    add_role(line, format, record->role);
    add(line, json ? "\"event\":\"%s\",\"msg\":" : "event=%s msg=", record->event);
}

static void print_tail(enum log_format format, const struct log_record *record, char ret_tail[TAIL_SIZE])
{
    const bool json = format == LOG_FORMAT_JSON;
    char suppressed[40] = "";
    char lost[40] = "";
    if (record->suppressed > 0)
        (void)snprintf(suppressed, sizeof suppressed,
                       json ? ",\"suppressed\":%" PRIu64 : " suppressed=%" PRIu64, record->suppressed);
    if (record->lost > 0)
        (void)snprintf(lost, sizeof lost, json ? ",\"lost\":%" PRIu64 : " lost=%" PRIu64, record->lost);
    (void)snprintf(ret_tail, TAIL_SIZE, "%s%s%s\n", suppressed, lost, json ? "}" : "");
}

size_t log_format(enum log_format format, const struct log_record *record, char ret_line[LOG_LINE_SIZE])
{
    struct line line = {.bytes = ret_line};
    char tail[TAIL_SIZE];
    print_tail(format, record, tail);
    const size_t tail_size = strlen(tail);
    add_head(&line, format, record);
    add_quoted(&line, format, record, tail_size);
    memcpy(line.bytes + line.size, tail, tail_size);
    return line.size + tail_size;
}
