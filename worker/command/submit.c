/* winnow submit: sends events to the topic and tells what became of them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "counted.h"
#include "exit_code.h"
#include "identity.h"
#include "line_reader.h"
#include "log.h"
#include "print_json.h"
#include "progress.h"
#include "settings.h"
#include "signals.h"
#include "submission.h"

#define LINE_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define ODD_TOLD_MAX   3
#define TIMEOUT_S_MAX  86400

static const char *file_name;
static const char *json_asked;
static const char *quiet_asked;
static const char *timeout_text = "30";

static const struct command_option options[] = {
    {'f', "file", "FILE", "send the lines of a file; - is standard input", &file_name},
    {0, "json", NULL, "print JSON: the event, or the summary of a file", &json_asked},
    {'q', "quiet", NULL, "no progress on standard error", &quiet_asked},
    {0, "timeout", "SECONDS", "how long the brokers may be silent [30]", &timeout_text},
    {0},
};

const struct command_usage usage_submit = {
    .synopsis = "winnow submit [options] [EVENT]",
    .summary = "send events to the topic",
    .description = "Sends EVENT, byte by byte as it is, and waits until the brokers have acknowledged it. "
                   "Without EVENT it sends each line of a file or of standard input. The key is the client "
                   "id. Events that will become dead letters are sent too, and told.",
    .example = "winnow submit -b localhost:9092 -t events -f events.jsonl",
    .options = options,
    .settings = "brokers topic event_bytes_max log_level",
};

struct submit {
    struct submission *submission;
    const struct settings *settings;
    int64_t started_ms;
    struct progress progress;
    int64_t read_bytes; /* of the input, line by line */
    int64_t line;
};

/* ---- telling ------------------------------------------------------------------------------------------ */

static int64_t elapsed_ms(const struct submit *submit)
{
    int64_t elapsed = clock_now_ms() - submit->started_ms;
    return elapsed > 0 ? elapsed : 1;
}

/* What is read but not acknowledged is on its way, and does not count. */
static void show_progress(struct submit *submit)
{
    const struct tally *tally = submission_tally(submit->submission);
    double share = tally->sent > 0 ? (double)tally->acknowledged / (double)tally->sent : 0;
    progress_update(&submit->progress, tally->acknowledged, (int64_t)(share * (double)submit->read_bytes));
}

static void tell_odd(struct submit *submit, const struct reject *reject)
{
    int64_t odd = submission_tally(submit->submission)->odd;
    if (odd > ODD_TOLD_MAX) return;
    progress_hide(&submit->progress);
    (void)fprintf(stderr, "winnow submit: line %" PRId64 " will become a dead letter: %s: %s\n", submit->line,
                  reject_name(reject->reason), reject->detail);
    if (odd == ODD_TOLD_MAX)
        (void)fprintf(stderr,
                      "winnow submit: further ones are only counted; winnow explain tells about each\n");
}

static void tell_failures(const struct tally *tally)
{
    if (tally->failed == 0) return;
    (void)fprintf(stderr, "winnow submit: %" PRId64 " not acknowledged; the first: %s\n", tally->failed,
                  tally->first_fault.text);
}

static void print_event_json(const struct settings *settings, const struct tally *tally,
                             const struct verdict *verdict)
{
    char hash[IDENTITY_TEXT_SIZE];
    (void)printf("{\"topic\":");
    print_json_string(stdout, slice_of_text(settings->topic));
    (void)printf(",\"partition\":%" PRId32 ",\"offset\":%" PRId64, tally->partition, tally->offset);
    if (verdict->accepted) {
        identity_print(verdict->hash, hash);
        (void)printf(",\"event_hash\":\"%s\"}\n", hash);
        return;
    }
    (void)printf(",\"reason\":\"%s\",\"detail\":", reject_name(verdict->reject.reason));
    print_json_string(stdout, slice_of_text(verdict->reject.detail));
    (void)printf("}\n");
}

static void print_event(const struct settings *settings, const struct tally *tally,
                        const struct verdict *verdict)
{
    char hash[IDENTITY_TEXT_SIZE];
    (void)printf("%s/%" PRId32 "/%" PRId64, settings->topic, tally->partition, tally->offset);
    if (verdict->accepted) {
        identity_print(verdict->hash, hash);
        (void)printf("  event_hash %s\n", hash);
    } else {
        (void)printf("  will become a dead letter: %s: %s\n", reject_name(verdict->reject.reason),
                     verdict->reject.detail);
    }
}

static void print_summary(const struct submit *submit)
{
    const struct tally *tally = submission_tally(submit->submission);
    double seconds = (double)elapsed_ms(submit) / 1000;
    double rate = (double)tally->acknowledged / seconds;
    if (json_asked != NULL)
        (void)printf("{\"sent\":%" PRId64 ",\"acknowledged\":%" PRId64 ",\"failed\":%" PRId64
                     ",\"will_be_dead_letters\":%" PRId64 ",\"seconds\":%.3f,\"per_second\":%.0f}\n",
                     tally->sent, tally->acknowledged, tally->failed, tally->odd, seconds, rate);
    else
        (void)printf("sent %" PRId64 ", acknowledged %" PRId64 ", failed %" PRId64
                     ", will become dead letters %" PRId64 "; %.1f s, %.0f/s\n",
                     tally->sent, tally->acknowledged, tally->failed, tally->odd, seconds, rate);
}

/* ---- sending ------------------------------------------------------------------------------------------ */

static int verdict_of(const struct tally *tally)
{
    if (signals_stop_asked()) return EXIT_TEMPORARY;
    if (tally->failed == 0) return EXIT_DRAINED;
    if (tally->first_fault.status == STATUS_STOP) return EXIT_BAD_CONFIG;
    bool silent = tally->acknowledged == 0 && tally->first_fault.status == STATUS_RETRY;
    return silent ? EXIT_UNREACHABLE : EXIT_FINDING;
}

static int submit_event(struct submit *submit, const char *event)
{
    struct verdict verdict;
    if (submission_send(submit->submission, slice_of_text(event), &verdict))
        submission_finish(submit->submission);
    const struct tally *tally = submission_tally(submit->submission);
    if (tally->acknowledged == 0)
        tell_failures(tally);
    else if (json_asked != NULL)
        print_event_json(submit->settings, tally, &verdict);
    else
        print_event(submit->settings, tally, &verdict);
    return verdict_of(tally);
}

static bool is_blank(struct slice line)
{
    return slice_trim(line).size == 0;
}

/* False when sending is at its end: brokers silent, or asked to stop. */
static bool submit_line(struct submit *submit, struct slice line)
{
    struct verdict verdict;
    submit->line++;
    submit->read_bytes += (int64_t)line.size + 1;
    if (is_blank(line)) return true;
    bool going = submission_send(submit->submission, line, &verdict);
    if (!verdict.accepted) tell_odd(submit, &verdict.reject);
    return going;
}

/* Waits for more input, counting acknowledgements meanwhile. False when asked to stop. */
static bool await_input(struct submit *submit, int fd)
{
    for (;;) {
        struct pollfd input = {.fd = fd, .events = POLLIN};
        size_t under_way = submission_serve(submit->submission, 0);
        show_progress(submit);
        bool ready = signals_wait(&input, 1, under_way > 0 ? 50 : 1000);
        while (signals_next() != 0) continue;
        if (signals_stop_asked()) return false;
        if (ready && input.revents != 0) return true;
    }
}

enum reading { READING_DONE, READING_STOPPED, READING_FAILED };

static enum reading submit_lines(struct submit *submit, struct line_reader *reader, const char *name)
{
    enum line_reader_result result;
    struct slice line;
    do {
        if (!await_input(submit, reader->fd)) return READING_STOPPED;
        result = line_reader_fill(reader);
        if (result == LINE_READER_FAILED) {
            (void)fprintf(stderr,
                          "winnow submit: cannot read %s: %s; expected a file with one event a line\n", name,
                          strerror(errno));
            return READING_FAILED;
        }
        while (line_reader_take(reader, &line)) {
            if (!submit_line(submit, line)) return READING_STOPPED;
            show_progress(submit);
        }
        if (reader->bytes.size - reader->begin > LINE_BYTES_MAX) {
            (void)fprintf(stderr, "winnow submit: %s: line %" PRId64 " is longer than %zu bytes\n", name,
                          submit->line + 1, LINE_BYTES_MAX);
            return READING_FAILED;
        }
    } while (result == LINE_READER_MORE);
    return READING_DONE;
}

/* A pipe does not tell how much will come. */
static int64_t input_size(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? (int64_t)status.st_size : 0;
}

static int submit_input(struct submit *submit, int fd, const char *name)
{
    struct line_reader reader;
    progress_begin(&submit->progress,
                   &(struct progress_options){"submit", "events", input_size(fd), quiet_asked != NULL});
    if (isatty(fd) != 0) (void)fprintf(stderr, "winnow submit: type events, one a line; end with Ctrl-D\n");
    line_reader_init(&reader, fd);
    enum reading reading = submit_lines(submit, &reader, name);
    line_reader_done(&reader);
    while (submission_drain(submit->submission)) show_progress(submit);
    submission_finish(submit->submission);
    progress_end(&submit->progress);
    const struct tally *tally = submission_tally(submit->submission);
    tell_failures(tally);
    if (reading == READING_DONE && tally->sent == 0)
        (void)fprintf(stderr, "winnow submit: found no event in %s, expected one a line\n", name);
    if (reading == READING_STOPPED)
        (void)fprintf(stderr, "winnow submit: stopped at line %" PRId64 " of %s\n", submit->line, name);
    print_summary(submit);
    int exit_code = verdict_of(tally);
    return exit_code == EXIT_DRAINED && reading != READING_DONE ? EXIT_FINDING : exit_code;
}

/* ---- starting ----------------------------------------------------------------------------------------- */

static bool read_timeout(int64_t *ret_timeout_ms)
{
    char *end;
    errno = 0;
    long seconds = strtol(timeout_text, &end, 10);
    if (end == timeout_text || *end != '\0' || errno != 0 || seconds < 1 || seconds > TIMEOUT_S_MAX) {
        (void)settings_refuse("submit", "--timeout: found %s, expected seconds from 1 to %d",
                              settings_found(timeout_text), TIMEOUT_S_MAX);
        return false;
    }
    *ret_timeout_ms = seconds * INT64_C(1000);
    return true;
}

static bool judge_arguments(int count, char **arguments)
{
    if (count > 1 || (count == 1 && file_name != NULL)) {
        (void)settings_refuse("submit",
                              "found %d %s%s, expected one event or one file; is the event in quotes?", count,
                              counted(count, "event", "events"), file_name != NULL ? " and a file" : "");
        return false;
    }
    /* a file's name given as the event is a slip of the hand */
    if (count == 1 && arguments[0][0] != '{' && access(arguments[0], F_OK) == 0) {
        (void)fprintf(stderr, "winnow submit: %s is a file: send its lines with -f %s\n", arguments[0],
                      arguments[0]);
        return false;
    }
    return true;
}

static int complain_of_file(const char *problem)
{
    (void)fprintf(stderr, "winnow submit: cannot open %s: %s; expected a file with one event a line\n",
                  file_name, problem);
    return -1;
}

/* Editors and shells of other systems write it; each of its lines would be a dead letter. */
static bool is_utf16(int fd)
{
    unsigned char begin[2];
    if (pread(fd, begin, sizeof begin, 0) != (ssize_t)sizeof begin) return false;
    return (begin[0] == 0xFF && begin[1] == 0xFE) || (begin[0] == 0xFE && begin[1] == 0xFF);
}

/* The descriptor to read lines from; -1 after telling why not. A pipe that nobody writes to yet is waited for
 * where signals are heard, and not in open(). */
static int open_input(void)
{
    struct stat status;
    if (file_name == NULL || strcmp(file_name, "-") == 0) return STDIN_FILENO;
    int fd = open(file_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return complain_of_file(strerror(errno));
    const char *problem = fstat(fd, &status) != 0 || fcntl(fd, F_SETFL, 0) != 0 ? strerror(errno)
                          : S_ISDIR(status.st_mode)                             ? strerror(EISDIR)
                          : is_utf16(fd)                                        ? "it is in UTF-16, not UTF-8"
                                                                                : NULL;
    if (problem == NULL) return fd;
    (void)close(fd);
    return complain_of_file(problem);
}

static int connect_and_submit(const struct settings *settings, int64_t timeout_ms, const char *event, int fd)
{
    struct submit submit = {.settings = settings, .started_ms = clock_now_ms()};
    struct fault fault;
    if (!submission_open(settings, timeout_ms, &submit.submission, &fault)) {
        (void)fprintf(stderr, "winnow submit: %s%s\n", fault.text,
                      fault.status == STATUS_RETRY
                          ? "; check -b/--brokers, security.protocol, and whether they run"
                          : "");
        if (signals_stop_asked()) return EXIT_TEMPORARY;
        return fault.status == STATUS_RETRY ? EXIT_UNREACHABLE : EXIT_BAD_CONFIG;
    }
    submit.started_ms = clock_now_ms();
    const char *name = file_name == NULL || fd == STDIN_FILENO ? "standard input" : file_name;
    int exit_code = event != NULL ? submit_event(&submit, event) : submit_input(&submit, fd, name);
    submission_free(submit.submission);
    return exit_code;
}

static int submit(const struct settings *settings, int count, char **arguments)
{
    int64_t timeout_ms;
    if (!judge_arguments(count, arguments) || !read_timeout(&timeout_ms)) return EXIT_BAD_USAGE;
    if (!settings_require(settings, "brokers topic")) return EXIT_BAD_CONFIG;
    log_init_quiet(settings->log_level, "submit");
    const char *event = count == 1 ? arguments[0] : NULL;
    int fd = event == NULL ? open_input() : -1;
    if (event == NULL && fd < 0) return EXIT_BAD_USAGE;
    int exit_code = connect_and_submit(settings, timeout_ms, event, fd);
    if (fd > STDIN_FILENO) (void)close(fd);
    return exit_code;
}

int command_submit(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    signals_init(false);
    if (!settings_read(&usage_submit, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    exit_code = submit(&settings, argc - rest, argv + rest);
    settings_done(&settings);
    return exit_code;
}
