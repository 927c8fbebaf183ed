/* winnow explain: what normalization makes of a message, without any server. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "command.h"
#include "decimal.h"
#include "exit_code.h"
#include "explain_text.h"
#include "identity.h"
#include "instant.h"
#include "line_reader.h"
#include "normalize.h"
#include "print_json.h"
#include "settings.h"

static const char *json_asked;
static const char *timestamp_text;

static const struct command_option options[] = {
    {0, "json", NULL, "explain each line of standard input by a line of JSON", &json_asked},
    {0, "broker-timestamp-ms", "MS", "the message's own timestamp (D-1); the present", &timestamp_text},
    {0},
};

const struct command_usage usage_explain = {
    .synopsis = "winnow explain [options] [EVENT]",
    .summary = "tell what becomes of an event, rule by rule",
    .description =
        "Tells what becomes of an event, rule by rule, or why it would be a dead letter. EVENT is "
        "one message; without it standard input is, or with --json each of its lines. No server is "
        "needed.\n"
        "Exit code 0 when the event is accepted, 1 when it is not; with --json always 0.",
    .example = "winnow explain '{\"client\":\"a\",\"type\":\"sale\",\"sum\":\"1,200.50\"}'",
    .options = options,
    .settings = "event_bytes_max",
};

struct explainer {
    struct normalizer *normalizer;
    int64_t timestamp_ms; /* -1: the present */
    struct buffer out;    /* one line of JSON */
};

static struct record record_of(const struct explainer *explainer, struct slice value)
{
    int64_t timestamp_ms = explainer->timestamp_ms >= 0 ? explainer->timestamp_ms : clock_wall_ms();
    return (struct record){.timestamp_ms = timestamp_ms, .value = value};
}

static bool explain_to_person(struct explainer *explainer, struct slice value)
{
    static const struct client_rules rules;
    struct record record = record_of(explainer, value);
    struct event event;
    struct reject reject;
    if (normalize(explainer->normalizer, &record, &rules, &event, &reject) == STATUS_OK) {
        explain_event(explainer->normalizer, &event, explainer->timestamp_ms >= 0);
        return true;
    }
    explain_reject(explainer->normalizer, &reject);
    return false;
}

/* Adds `"name":"text"`. */
static void add_string(struct buffer *out, const char *name, struct slice text)
{
    json_add_string(out, slice_of_text(name));
    buffer_add_text(out, ":");
    json_add_string(out, text);
}

static void add_event(struct buffer *out, const struct event *event)
{
    char amount[DECIMAL_TEXT_SIZE];
    char when[INSTANT_TEXT_SIZE];
    char hash[IDENTITY_TEXT_SIZE];
    size_t amount_size = decimal_print(&event->amount, amount);
    (void)instant_print(event->time_us, when);
    identity_print(event->hash, hash);
    buffer_add_text(out, "{\"event\":{");
    add_string(out, "client_id", event->client_id);
    buffer_add_text(out, ",");
    add_string(out, "metric", event->metric);
    buffer_add_text(out, ",\"amount\":");
    (void)buffer_add(out, amount, amount_size);
    buffer_add_text(out, ",");
    add_string(out, "timestamp", slice_of_text(when));
    buffer_add_text(out, ",");
    add_string(out, "event_hash", slice_of_text(hash));
    buffer_add_text(out, "}}\n");
}

static void explain_to_program(struct explainer *explainer, struct slice value)
{
    static const struct client_rules rules;
    struct record record = record_of(explainer, value);
    struct event event;
    struct reject reject;
    struct buffer *out = &explainer->out;
    buffer_clear(out);
    if (normalize(explainer->normalizer, &record, &rules, &event, &reject) == STATUS_OK) {
        add_event(out, &event);
    } else {
        buffer_add_text(out, "{");
        add_string(out, "reason", slice_of_text(reject_name(reject.reason)));
        buffer_add_text(out, ",");
        add_string(out, "detail", slice_of_text(reject.detail));
        buffer_add_text(out, "}\n");
    }
    (void)fwrite(out->data, 1, out->size, stdout);
}

static int fail_to_read(void)
{
    (void)fprintf(stderr, "winnow explain: cannot read standard input: %s\n", strerror(errno));
    return EXIT_TEMPORARY;
}

/* Answers are handed out before more input is waited for, so that a program may ask line by line. */
static int explain_lines(struct explainer *explainer)
{
    struct line_reader reader;
    struct slice line;
    enum line_reader_result result;
    line_reader_init(&reader, STDIN_FILENO);
    do {
        if (fflush(stdout) != 0) { /* main() tells why */
            line_reader_done(&reader);
            return EXIT_DRAINED;
        }
        result = line_reader_fill(&reader);
        while (result != LINE_READER_FAILED && line_reader_take(&reader, &line))
            explain_to_program(explainer, line);
    } while (result == LINE_READER_MORE);
    int exit_code = result == LINE_READER_FAILED ? fail_to_read() : EXIT_DRAINED;
    line_reader_done(&reader);
    return exit_code;
}

/* One message, over as many lines as it has; the last line break is the shell's. */
static int explain_input(struct explainer *explainer)
{
    struct line_reader reader;
    enum line_reader_result result;
    if (isatty(STDIN_FILENO) != 0)
        (void)fprintf(stderr, "winnow explain: type an event, end it with Ctrl-D\n");
    line_reader_init(&reader, STDIN_FILENO);
    do {
        result = line_reader_fill(&reader);
    } while (result == LINE_READER_MORE);
    int exit_code = EXIT_TEMPORARY;
    if (result == LINE_READER_FAILED) {
        exit_code = fail_to_read();
    } else {
        struct slice value = slice_of(reader.bytes.data, reader.bytes.size);
        if (value.size > 0 && value.data[value.size - 1] == '\n') value.size--;
        exit_code = explain_to_person(explainer, value) ? EXIT_DRAINED : EXIT_FINDING;
    }
    line_reader_done(&reader);
    return exit_code;
}

static bool read_timestamp(int64_t *ret_timestamp_ms)
{
    char *end;
    if (timestamp_text == NULL) return true;
    errno = 0;
    long long value = strtoll(timestamp_text, &end, 10);
    bool good = timestamp_text[0] >= '0' && timestamp_text[0] <= '9' && *end == '\0' && errno == 0;
    if (good)
        *ret_timestamp_ms = value;
    else
        (void)settings_refuse("explain", "--broker-timestamp-ms: found %s, expected milliseconds since 1970",
                              settings_found(timestamp_text));
    return good;
}

static int explain(struct explainer *explainer, const char *event)
{
    if (event == NULL) return json_asked != NULL ? explain_lines(explainer) : explain_input(explainer);
    if (json_asked == NULL)
        return explain_to_person(explainer, slice_of_text(event)) ? EXIT_DRAINED : EXIT_FINDING;
    explain_to_program(explainer, slice_of_text(event));
    return EXIT_DRAINED;
}

int command_explain(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    if (!settings_read(&usage_explain, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    struct explainer explainer = {.timestamp_ms = -1};
    if (argc - rest > 1) {
        exit_code = settings_refuse("explain", "found %d arguments, expected one event; is it in quotes?",
                                    argc - rest);
    } else if (!read_timestamp(&explainer.timestamp_ms)) {
        exit_code = EXIT_BAD_USAGE;
    } else {
        explainer.normalizer = normalizer_new((size_t)settings.event_bytes_max);
        exit_code = explain(&explainer, rest < argc ? argv[rest] : NULL);
        normalizer_free(explainer.normalizer);
        buffer_done(&explainer.out);
    }
    settings_done(&settings);
    return exit_code;
}
