#include "command/pool_control.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "command.h"
#include "control_path.h"
#include "counted.h"
#include "exit_code.h"
#include "json.h"
#include "json_string.h"
#include "json_text.h"
#include "reject.h"
#include "shell_quote.h"
#include "signals.h"
#include "slot.h"

#define STATUS_REQUEST   "{\"command\":\"status\"}\n"
#define LOOK_S           1
#define ANSWER_S         10
#define UNKNOWN          INT64_C(-1) /* a pool of an older version does not tell */
#define ANSWER_BYTES_MAX (1 << 20)
#define LOOK_AGAIN_MS    50
#define USER_SIZE        96
#define STOP_MORE_MS     5000 /* behind the time that workers have: those that hang are killed then */

/* What the pool said. Texts are in `texts`. */
struct answer {
    struct buffer line;
    bool ok;
    int64_t pid;
    int64_t age_ms;
    int64_t wanted;
    int64_t joined;
    int64_t alive;
    int64_t resting;
    int64_t restarts;
    char state[32];
    char told[2048]; /* or the error */
    char needs_restart[2048];
    struct jsonstring *decoder;
    bool lists_workers; /* print them while reading */
    bool ended;         /* nobody listens any more */
};

static int64_t number_of(const struct jsontext_token *value)
{
    return value->kind == JSONTEXT_NUMBER ? strtoll(value->text.data, NULL, 10) : 0;
}

static void take_text(struct answer *answer, const struct jsontext_token *value, char *ret_text, size_t size)
{
    struct buffer text = {0};
    if (value->kind != JSONTEXT_STRING) return;
    jsonstring_decode(answer->decoder, value->text, &text);
    (void)reject_escape(slice_of(text.data == NULL ? "" : text.data, text.size), ret_text, size);
    buffer_done(&text);
}

static void take_member(struct answer *answer, const struct jsontext_token *key,
                        const struct jsontext_token *value)
{
    const struct {
        const char *name;
        int64_t *number;
        char *text;
        size_t size;
    } places[] = {
        {"pid", &answer->pid, NULL, 0},
        {"age_ms", &answer->age_ms, NULL, 0},
        {"wanted", &answer->wanted, NULL, 0},
        {"joined", &answer->joined, NULL, 0},
        {"alive", &answer->alive, NULL, 0},
        {"resting", &answer->resting, NULL, 0},
        {"restarts", &answer->restarts, NULL, 0},
        {"state", NULL, answer->state, sizeof(answer->state)},
        {"told", NULL, answer->told, sizeof(answer->told)},
        {"error", NULL, answer->told, sizeof(answer->told)},
        {"needs_restart", NULL, answer->needs_restart, sizeof(answer->needs_restart)},
    };
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        if (!slice_equals(key->text, slice_of_text(places[i].name))) continue;
        if (places[i].number != NULL)
            *places[i].number = number_of(value);
        else
            take_text(answer, value, places[i].text, places[i].size);
    }
    if (slice_equals(key->text, slice_of_text("ok")))
        answer->ok = slice_equals(value->text, slice_of_text("true"));
}

struct worker_line {
    struct answer *answer;
    char state[32];
    int64_t pid;
    int64_t age_ms;
    int64_t starts_in_ms;
};

static void take_worker_member(void *context, bool inner, const struct jsontext_token *key,
                               const struct jsontext_token *value)
{
    struct worker_line *line = context;
    if (inner) return;
    if (slice_equals(key->text, slice_of_text("state")))
        take_text(line->answer, value, line->state, sizeof(line->state));
    if (slice_equals(key->text, slice_of_text("pid"))) line->pid = number_of(value);
    if (slice_equals(key->text, slice_of_text("age_ms"))) line->age_ms = number_of(value);
    if (slice_equals(key->text, slice_of_text("starts_in_ms"))) line->starts_in_ms = number_of(value);
}

static void print_worker(struct answer *answer, const struct jsontext_token *slot, struct slice object)
{
    struct worker_line line = {.answer = answer};
    struct jsontext scanner = {0};
    struct jsontext_report report;
    const struct jsontext_visitor visitor = {.member = take_worker_member, .context = &line};
    const bool good = jsontext_scan(&scanner, object, &visitor, &report) == JSONTEXT_OK;
    jsontext_done(&scanner);
    if (!good) return;
    (void)printf("  worker %-4.*s", (int)slot->text.size, slot->text.data);
    if (line.pid > 0)
        (void)printf("pid %-9" PRId64 "%-16s for %" PRId64 ".%" PRId64 " s\n", line.pid, line.state,
                     line.age_ms / 1000, line.age_ms % 1000 / 100);
    else
        (void)printf("%-13s%-16s in %" PRId64 " ms\n", "", line.state, line.starts_in_ms);
}

static bool enter(void *context, const struct jsontext_token *key)
{
    const struct answer *answer = context;
    return answer->lists_workers && slice_equals(key->text, slice_of_text("workers"));
}

static void take(void *context, bool inner, const struct jsontext_token *key,
                 const struct jsontext_token *value)
{
    if (inner)
        print_worker(context, key, value->text);
    else
        take_member(context, key, value);
}

static bool read_answer(struct answer *answer)
{
    struct jsontext scanner = {0};
    struct jsontext_report report;
    const struct jsontext_visitor visitor = {.enter = enter, .member = take, .context = answer};
    answer->told[0] = '\0';
    answer->resting = UNKNOWN;
    answer->alive = UNKNOWN;
    answer->needs_restart[0] = '\0';
    answer->decoder = jsonstring_new();
    const struct slice line = slice_of(answer->line.data, answer->line.size);
    const bool good = jsontext_scan(&scanner, line, &visitor, &report) == JSONTEXT_OK;
    jsonstring_free(answer->decoder);
    jsontext_done(&scanner);
    return good;
}

/* -1, with errno. */
static int connect_to(const char *path, int answer_s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = answer_s};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, (const void *)&address, sizeof(address)) == 0) {
        return fd;
    }
    const int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static bool talk(int fd, const char *request, struct buffer *ret_line)
{
    const size_t size = strlen(request);
    ssize_t got = send(fd, request, size, MSG_NOSIGNAL);
    if (got != (ssize_t)size) return false;
    buffer_clear(ret_line);
    do {
        got = recv(fd, buffer_reserve(ret_line, 4096), 4096, 0);
        if (got > 0) ret_line->size += (size_t)got;
    } while (got > 0 && ret_line->size < ANSWER_BYTES_MAX);
    return got == 0 && ret_line->size > 0;
}

/* As sudo takes it. */
static void print_user(uid_t id, char ret_name[USER_SIZE])
{
    char number[USER_SIZE];
    (void)snprintf(number, sizeof number, "#%u", (unsigned)id);
    // cppcheck-suppress getpwuidCalled // there is one thread
    const struct passwd *user = getpwuid(id);
    shell_quote(user != NULL ? user->pw_name : number, ret_name, USER_SIZE);
}

/* False when the socket is ours, or nothing tells whose it is. */
static bool complain_of_owner(const char *path, const char *problem)
{
    char name[USER_SIZE];
    char word[4 * CONTROL_PATH_SIZE];
    struct stat status;
    if (geteuid() == 0 || stat(path, &status) != 0 || status.st_uid == geteuid()) return false;
    print_user(status.st_uid, name);
    shell_quote(path, word, sizeof word);
    const bool is_root = status.st_uid == 0;
    (void)fprintf(stderr,
                  "winnow pool: %s: %s: the pool runs as user %s, and only that user and root may ask it; "
                  "go on with: sudo %s%s%swinnow pool --control-socket %s ...\n",
                  path, problem, name, is_root ? "" : "-u ", is_root ? "" : name, is_root ? "" : " ", word);
    return true;
}

static bool complain_of(const char *path, const char *problem)
{
    (void)fprintf(stderr,
                  "winnow pool: %s: %s; is a pool running, with this group (-g) or --control-socket?\n", path,
                  problem);
    return false;
}

static bool ask(const char *path, const char *request, struct answer *answer)
{
    const int fd = connect_to(path, ANSWER_S);
    if (fd < 0 && errno == EACCES && complain_of_owner(path, strerror(EACCES))) return false;
    if (fd < 0) return complain_of(path, strerror(errno));
    const bool answered = talk(fd, request, &answer->line);
    (void)close(fd);
    if (answered) return read_answer(answer) || complain_of(path, "the answer is no JSON");
    if (!complain_of_owner(path, "no answer")) (void)complain_of(path, "no answer");
    return false;
}

static bool tells_who_rests(const struct answer *answer)
{
    return answer->resting != UNKNOWN && answer->alive != UNKNOWN;
}

/* Also those that are on their way to join. */
static bool rests(const struct answer *answer)
{
    return strcmp(answer->state, "quiet") != 0 || answer->resting >= answer->alive;
}

static bool is_drained(const struct answer *answer)
{
    return strcmp(answer->state, "draining") != 0;
}

static bool is_done(const char *word, const struct answer *answer)
{
    if (!answer->ok) return true;
    if (strcmp(word, "quiet") == 0) return tells_who_rests(answer) && rests(answer);
    if (strcmp(word, "stop") == 0) return answer->ended;
    return strcmp(word, "drain") != 0 || is_drained(answer);
}

static bool has_ended(const char *path)
{
    const int fd = connect_to(path, ANSWER_S);
    if (fd < 0) return errno == ECONNREFUSED || errno == ENOENT;
    (void)close(fd);
    return false;
}

/* Until what was asked for is so, or the time is over; the pool itself does not wait. */
static bool wait_until_done(const char *path, const char *word, struct answer *answer, int64_t timeout_ms)
{
    const bool stops = strcmp(word, "stop") == 0;
    const int64_t deadline_ms = clock_now_ms() + timeout_ms + (stops ? STOP_MORE_MS : 0);
    while (!is_done(word, answer)) {
        if (strcmp(word, "quiet") == 0 && !tells_who_rests(answer)) return true;
        if (clock_now_ms() >= deadline_ms || signals_look_for_stop()) return true;
        (void)!signals_wait(NULL, 0, LOOK_AGAIN_MS);
        if (stops)
            answer->ended = has_ended(path);
        else if (!ask(path, STATUS_REQUEST, answer))
            return false;
    }
    return true;
}

static void print_state(const struct answer *answer)
{
    (void)printf("%s: %" PRId64 " of %" PRId64 " %s %s joined", answer->state, answer->joined, answer->wanted,
                 counted(answer->wanted, "worker", "workers"),
                 counted_of(answer->joined, answer->wanted, "has", "have"));
    /* After a resume some have not heard of it yet: that concerns nobody. */
    if (answer->resting > 0 && strcmp(answer->state, "quiet") == 0)
        (void)printf(", %" PRId64 " %s nothing new", answer->resting,
                     counted(answer->resting, "takes", "take"));
    (void)printf("; pid %" PRId64 ", up %" PRId64 " s, %" PRId64 " %s\n", answer->pid, answer->age_ms / 1000,
                 answer->restarts, counted(answer->restarts, "restart", "restarts"));
    if (answer->needs_restart[0] != '\0')
        (void)printf("changed in the configuration, and not in force until the pool is stopped and started: "
                     "%s\n",
                     answer->needs_restart);
}

static int refuse(char **words)
{
    if (settings_find_word("pool", &usage_pool, words[0]) < 0) return EXIT_BAD_USAGE;
    if (strcmp(words[0], "scale") != 0)
        return settings_refuse("pool", "found %s behind %s, expected nothing", words[1], words[0]);
    if (words[1] != NULL && words[2] != NULL)
        return settings_refuse("pool", "found %s behind scale %s, expected nothing", words[2], words[1]);
    return settings_refuse("pool", "scale: found %s, expected a number of workers from 1 to %d",
                           settings_found(words[1]), SLOT_COUNT_MAX);
}

/* The line to send; false when the words are no command. */
static bool make_request(char **words, struct buffer *ret_request)
{
    bool found = false;
    for (const struct command_word *word = usage_pool.words; word->name != NULL; word++)
        found = found || strcmp(word->name, words[0]) == 0;
    const bool scales = strcmp(words[0], "scale") == 0;
    char *end = NULL;
    const long count = scales && words[1] != NULL ? strtol(words[1], &end, 10) : 0;
    const bool counted = end != NULL && *end == '\0' && end != words[1] && words[2] == NULL && count >= 1 &&
                         count <= SLOT_COUNT_MAX;
    if (!found || (scales ? !counted : words[1] != NULL)) return false;
    json_open(ret_request, '{');
    json_text(ret_request, "command", words[0]);
    if (scales) json_int(ret_request, "count", count);
    json_close(ret_request, '}');
    (void)buffer_add(ret_request, "\n", 2);
    return true;
}

static int tell(const char *word, struct answer *answer)
{
    if (!answer->ok) {
        (void)fprintf(stderr, "winnow pool %s: refused: %s\n", word, answer->told);
        return EXIT_FINDING;
    }
    if (answer->told[0] != '\0') (void)printf("%s\n", answer->told);
    if (answer->ended)
        (void)printf("stopped: the pool has ended, pid %" PRId64 "\n", answer->pid);
    else
        print_state(answer);
    if (strcmp(word, "status") == 0) {
        answer->lists_workers = true;
        (void)!read_answer(answer);
    }
    if (is_done(word, answer)) return EXIT_DRAINED;
    if (strcmp(word, "quiet") == 0 && !tells_who_rests(answer))
        (void)fprintf(stderr,
                      "winnow pool quiet: asked for, but this pool is of an older version and does not "
                      "tell whether all workers are quiet: its log and the lag do\n");
    else
        (void)fprintf(
            stderr, "winnow pool %s: asked for, but it is not so yet; winnow pool status tells when it is\n",
            word);
    return EXIT_TEMPORARY;
}

int pool_control(const struct settings *settings, char **words)
{
    char path[CONTROL_PATH_SIZE];
    struct buffer request = {0};
    struct answer answer = {0};
    int exit_code = EXIT_UNREACHABLE;
    if (!make_request(words, &request)) return refuse(words);
    if (!control_path_find(settings, true, path)) {
        (void)fprintf(stderr, "winnow pool: no control socket: there is neither $RUNTIME_DIRECTORY nor "
                              "/run/winnow nor $XDG_RUNTIME_DIR; set control_socket for the pool and here\n");
        buffer_done(&request);
        return EXIT_BAD_CONFIG;
    }
    if (ask(path, request.data, &answer) &&
        wait_until_done(path, words[0], &answer, settings->drain_timeout_ms))
        exit_code = tell(words[0], &answer);
    buffer_done(&answer.line);
    buffer_done(&request);
    return exit_code;
}

void pool_control_look(const struct settings *settings, struct pool_said *ret_said)
{
    char path[CONTROL_PATH_SIZE];
    struct answer answer = {0};
    *ret_said = (struct pool_said){.resting = UNKNOWN};
    if (!control_path_find(settings, true, path)) return;
    const int fd = connect_to(path, LOOK_S);
    if (fd < 0) return;
    if (talk(fd, STATUS_REQUEST, &answer.line) && read_answer(&answer)) {
        (void)snprintf(ret_said->state, sizeof(ret_said->state), "%s", answer.state);
        ret_said->resting = answer.resting;
    }
    (void)close(fd);
    buffer_done(&answer.line);
}
