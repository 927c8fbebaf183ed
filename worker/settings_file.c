/* The configuration file, by inih; the only file that knows it.
 *
 * inih stops telling after the first line it cannot read, gives its handler no line numbers, cuts lines at a
 * fixed size, joins indented lines to the one above and takes ` ;` inside a value for a comment, which would
 * cut a password short. So the lines reach it through a reader that counts them and looks at each one first,
 * and joining and comments behind values are switched off (Debian's build of inih has variables for that). A
 * line that ought to reach the handler and did not is noticed when the next one is asked for. */
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "settings_load.h"

#define LINE_BYTES_MAX 65536
#define KAFKA_SECTION  "kafka"
#define MISTAKES_TOLD  20 /* more are another file, given by mistake */

struct file {
    struct settings_load *load;
    const char *path;
    FILE *stream;
    char *line;
    size_t line_capacity;
    size_t line_number;
    size_t mistakes;
    bool awaits_handler; /* the line last given to inih is a setting, and was not handled yet */
    bool section_known;  /* of the section that the line stands in */
};

static struct origin here(const struct file *file)
{
    struct origin origin = {ORIGIN_FILE, NULL};
    if (asprintf(&origin.place, "%s:%zu", file->path, file->line_number) < 0) abort();
    return origin;
}

/* A mistake in the line in hand. */
static PRINTF_LIKE(2, 3) void complain(struct file *file, const char *format, ...)
{
    char *text;
    va_list values;
    if (++file->mistakes > MISTAKES_TOLD) return;
    va_start(values, format);
    if (vasprintf(&text, format, values) < 0) abort();
    va_end(values);
    struct origin origin = here(file);
    settings_load_complain(file->load, origin, "%s", text);
    free(origin.place);
    free(text);
}

static void look_at_section(struct file *file, const char *text)
{
    size_t size = strcspn(text + 1, "]");
    file->section_known = size == strlen(KAFKA_SECTION) && memcmp(text + 1, KAFKA_SECTION, size) == 0;
    if (text[1 + size] != ']')
        complain(file, "found [ without ], expected [%s]", KAFKA_SECTION);
    else if (!file->section_known)
        complain(file, "no such section; settings stand above all sections, properties of librdkafka in [%s]",
                 KAFKA_SECTION);
}

/* False when inih must not see the line. */
static bool look_at_line(struct file *file, ssize_t size)
{
    if (memchr(file->line, '\0', (size_t)size) != NULL) {
        complain(file, "found a NUL byte, expected text in UTF-8");
        return false;
    }
    if (size > LINE_BYTES_MAX - 3) { /* inih: as many bytes less */
        complain(file, "the line is longer than %d bytes", LINE_BYTES_MAX - 3);
        return false;
    }
    const char *text = file->line;
    if (file->line_number == 1 && strncmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
    text += strspn(text, " \t\r\n\f\v");
    if (*text == '[') look_at_section(file, text);
    file->awaits_handler = *text != '\0' && *text != '[' && *text != '#' && *text != ';';
    return true;
}

static void tell_unhandled(struct file *file)
{
    if (file->awaits_handler) complain(file, "expected a line like: name = value");
    file->awaits_handler = false;
}

/* An ini_reader. */
static char *read_line(char *to, int to_size, void *context)
{
    struct file *file = context;
    tell_unhandled(file);
    ssize_t size = getline(&file->line, &file->line_capacity, file->stream);
    if (size < 0) return NULL;
    file->line_number++;
    bool passed = look_at_line(file, size);
    (void)snprintf(to, (size_t)to_size, "%s", passed ? file->line : "\n");
    return to;
}

static void complain_unknown(struct file *file, const char *name)
{
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < SETTING_COUNT; i++) nearest_offer(&nearest, setting_table[i].name);
    if (nearest.name != NULL)
        complain(file, "no setting %s; did you mean %s?", name, nearest.name);
    else if (strchr(name, '.') != NULL)
        complain(file, "no setting %s; properties of librdkafka stand below a line [kafka]", name);
    else
        complain(file, "no setting %s; `winnow config example` lists them", name);
}

/* The file's own settings end where [kafka] begins; one that stands below would be taken for a property. */
static bool is_misplaced(const char *name)
{
    const struct setting *setting = setting_find(name, strlen(name));
    return setting != NULL && strcmp(setting->name, "log_level") != 0; /* librdkafka has a log_level too */
}

/* An ini_handler: nonzero on success. Mistakes are told at once, so it always succeeds. */
static int handle(void *context, const char *section, const char *name, const char *value)
{
    struct file *file = context;
    const struct setting *setting = setting_find(name, strlen(name));
    if (name[0] == '\0') return 1; /* told by tell_unhandled() */
    file->awaits_handler = false;
    if (!file->section_known) return 1;
    struct origin origin = here(file);
    if (section[0] != '\0' && is_misplaced(name))
        complain(file, "%s is a setting of winnow, expected it above [kafka]", name);
    else if (section[0] != '\0')
        settings_load_assign_kafka(file->load, name, value, origin);
    else if (setting != NULL)
        settings_load_assign(file->load, setting, value, origin);
    else
        complain_unknown(file, name);
    free(origin.place);
    return 1;
}

static void configure_inih(void)
{
    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_initial_alloc = LINE_BYTES_MAX;
    ini_max_line = LINE_BYTES_MAX;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    ini_stop_on_first_error = false;
}

static void complain_unreadable(struct settings_load *load, const char *path, const char *asked_by,
                                struct slice why)
{
    struct origin origin = {ORIGIN_FILE, strdup(asked_by)};
    if (origin.place == NULL) abort();
    settings_load_complain(load, origin,
                           "cannot read %s: %.*s; `winnow config example` prints a file to begin with", path,
                           (int)why.size, why.data);
    free(origin.place);
}

static void tell_rest(const struct file *file)
{
    if (file->mistakes <= MISTAKES_TOLD) return;
    struct origin origin = {ORIGIN_FILE, strdup(file->path)};
    if (origin.place == NULL) abort();
    settings_load_complain(file->load, origin, "%zu lines more are wrong; is it a configuration of winnow?",
                           file->mistakes - MISTAKES_TOLD);
    free(origin.place);
}

void settings_load_file(struct settings_load *load, const char *path, const char *asked_by)
{
    struct file file = {.load = load, .path = path, .section_known = true};
    struct buffer problem = {0};
    file.stream = load->opener.open(load->opener.context, path, &problem);
    if (file.stream == NULL) complain_unreadable(load, path, asked_by, slice_of(problem.data, problem.size));
    buffer_done(&problem);
    if (file.stream == NULL) return;
    configure_inih();
    /* Positive results name a line that tell_unhandled() has told of. */
    if (ini_parse_stream(read_line, &file, handle, &file) < 0) abort();
    tell_rest(&file);
    if (ferror(file.stream) != 0) complain_unreadable(load, path, asked_by, slice_of_text(strerror(errno)));
    free(file.line);
    (void)fclose(file.stream);
}
