/* winnow doctor: one line for each thing that can be wrong, and the command that mends it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "colour.h"
#include "command.h"
#include "counted.h"
#include "database_conninfo.h"
#include "doctor/examination.h"
#include "doctor/mend.h"
#include "exit_code.h"
#include "log.h"
#include "print_json.h"
#include "reject.h"
#include "settings_flags.h"
#include "settings_load.h"
#include "shell_quote.h"
#include "signals.h"
#include "terminal.h"
#include "wrap.h"

#define TIMEOUT_S     5
#define TIMEOUT_S_MAX 60
#define AGE_S         300
#define AGE_S_MAX     86400
#define FOUND_INDENT  28 /* columns of verdict and check */
#define MEND_INDENT   6
#define NARROW        60 /* columns of a terminal in which nothing would be left beside FOUND_INDENT */

static const char *json_asked;
static const char *strict_asked;
static const char *timeout_text;
static const char *age_text;

static const struct command_option options[] = {
    {0, "json", NULL, "print one object of JSON", &json_asked},
    {0, "strict", NULL, "exit code 1 for warnings too", &strict_asked},
    {0, "timeout", "SECONDS", "how long a check may wait for an answer [5]", &timeout_text},
    {0, "transaction-age", "SECONDS", "how long a transaction may be open [300]", &age_text},
    {0},
};

const struct command_usage usage_doctor = {
    .synopsis = "winnow doctor [options]",
    .summary = "find out what is wrong, and what mends it",
    .description =
        "Looks at everything that a pool with these settings needs, from the brokers to the disk, and "
        "changes "
        "nothing. One line a check: ok, warn, fail, or skip with what it needs; below it the commands that "
        "mend it.\n"
        "Exit code 0: nothing failed; 1: something did; 78: the configuration is wrong.",
    .example = "winnow doctor -b localhost:9092 -t events -d dbname=winnow",
    .options = options,
    .settings = WORKER_SETTINGS,
};

struct report {
    size_t counts[CHECK_SKIP + 1];
    bool configuration_failed;
};

/* Control characters are shown and not sent to the terminal. On a terminal, what is found is broken between
 * words; elsewhere a line stays a line, for grep and awk. */
static void print_found(const char *found)
{
    char shown[2 * FOUND_SIZE];
    struct buffer out = {0};
    (void)reject_escape(slice_of_text(found), shown, sizeof shown);
    const size_t columns = terminal_columns();
    const size_t width = columns > 0 ? columns : SIZE_MAX;
    wrap_text_to(&out, width, FOUND_INDENT, width < NARROW ? MEND_INDENT : FOUND_INDENT, shown);
    (void)printf("%.*s", (int)out.size, out.data);
    buffer_done(&out);
}

/* Commands are never broken: a terminal goes on in its next line by itself, and gives them back in one piece
 * when they are copied. */
static void print_mend(const char *mend)
{
    char line[MEND_SIZE];
    char shown[2 * MEND_SIZE];
    for (size_t size; *mend != '\0'; mend += size + (mend[size] != '\0')) {
        size = strcspn(mend, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)size, mend);
        (void)reject_escape(slice_of_text(line), shown, sizeof shown);
        (void)printf("%*s$ %s\n", MEND_INDENT, "", shown);
    }
}

static void print_finding(const struct check *check, const struct finding *finding)
{
    static const enum colour colours[] = {[CHECK_OK] = COLOUR_GREEN,
                                          [CHECK_WARN] = COLOUR_YELLOW,
                                          [CHECK_FAIL] = COLOUR_RED,
                                          [CHECK_SKIP] = COLOUR_DIM};
    (void)printf("%s%-5s%s %-20s  ", colour_on(STDOUT_FILENO, colours[finding->verdict]),
                 verdict_name(finding->verdict), colour_on(STDOUT_FILENO, COLOUR_NONE), check->name);
    print_found(finding->found);
    print_mend(finding->mend);
    (void)fflush(stdout); /* errors are told at the end of the process */
}

static void print_finding_json(const struct check *check, const struct finding *finding, bool first)
{
    (void)fputs(first ? "{\"checks\":[\n" : ",\n", stdout);
    (void)printf("{\"check\":\"%s\",\"verdict\":\"%s\",\"found\":", check->name,
                 verdict_name(finding->verdict));
    print_json_string(stdout, slice_of_text(finding->found));
    (void)fputs(",\"mend\":", stdout);
    if (finding->mend[0] == '\0')
        (void)fputs("null", stdout);
    else
        print_json_string(stdout, slice_of_text(finding->mend));
    (void)fputs("}", stdout);
}

static void tell(void *context, const struct check *check, const struct finding *finding)
{
    struct report *report = context;
    size_t before = 0;
    for (size_t i = 0; i <= CHECK_SKIP; i++) before += report->counts[i];
    report->counts[finding->verdict]++;
    if (finding->verdict == CHECK_FAIL && strcmp(check->name, "configuration") == 0)
        report->configuration_failed = true;
    if (json_asked != NULL)
        print_finding_json(check, finding, before == 0);
    else
        print_finding(check, finding);
}

static void print_sum(const struct report *report)
{
    const size_t *counts = report->counts;
    if (json_asked != NULL)
        (void)printf("],\n\"ok\":%zu,\"warnings\":%zu,\"failed\":%zu,\"skipped\":%zu}\n", counts[CHECK_OK],
                     counts[CHECK_WARN], counts[CHECK_FAIL], counts[CHECK_SKIP]);
    else
        (void)printf("%zu ok, %zu %s, %zu failed, %zu skipped\n", counts[CHECK_OK], counts[CHECK_WARN],
                     counted((int64_t)counts[CHECK_WARN], "warning", "warnings"), counts[CHECK_FAIL],
                     counts[CHECK_SKIP]);
}

static int verdict_of(const struct report *report)
{
    if (report->configuration_failed) return EXIT_BAD_CONFIG;
    bool bad = report->counts[CHECK_FAIL] > 0 || (strict_asked != NULL && report->counts[CHECK_WARN] > 0);
    return bad ? EXIT_FINDING : EXIT_DRAINED;
}

static void add_flag(struct buffer *out, const char *flag, const char *value)
{
    char word[MEND_SIZE];
    shell_quote(value, word, sizeof word);
    setting_add(out, " %s %s", flag, word);
}

/* The flag as it was given, but without secrets. */
static void repeat_flag(const struct setting *setting, const struct settings *settings, struct buffer *out)
{
    char flag[SETTING_TEXT_SIZE];
    struct buffer value = {0};
    setting_print_flag(setting, flag);
    setting_print(setting, settings, &value);
    (void)buffer_add(&value, "", 1);
    char *conninfo = setting->has_secret ? conninfo_for(value.data, NULL, NULL) : NULL;
    add_flag(out, flag, conninfo != NULL ? conninfo : value.data);
    free(conninfo);
    buffer_done(&value);
}

/* "winnow.ini:12" → "winnow.ini" */
static void repeat_file(const struct settings_load *load, struct buffer *out)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct origin *origin = &load->origins[i];
        if (origin->kind != ORIGIN_FILE || origin->place == NULL) continue;
        char path[4096];
        const char *end = strrchr(origin->place, ':');
        (void)snprintf(path, sizeof path, "%.*s", (int)(end == NULL ? 0 : end - origin->place),
                       origin->place);
        add_flag(out, "-c", path);
        return;
    }
}

/* What has to be given again to a command of a mend: the file, and the flags that it takes. */
static struct buffer repeat_flags(const struct settings_load *load, const struct command_usage *usage,
                                  bool with_database)
{
    struct buffer out = {0};
    repeat_file(load, &out);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *name = setting_table[i].name;
        bool wanted = flags_takes(usage, name) && (with_database || strcmp(name, "database") != 0);
        if (wanted && load->origins[i].kind == ORIGIN_FLAG)
            repeat_flag(&setting_table[i], &load->settings, &out);
    }
    (void)buffer_add(&out, "", 1);
    return out;
}

/* Leaves the value as it is where the option was not given. */
static bool read_seconds(const char *option, const char *text, long most, long *seconds)
{
    char *end;
    if (text == NULL) return true;
    errno = 0;
    *seconds = strtol(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && *seconds >= 1 && *seconds <= most) return true;
    (void)settings_refuse("doctor", "--%s: found %s, expected seconds from 1 to %ld", option,
                          settings_found(text), most);
    return false;
}

static int examine(const struct settings_load *load)
{
    struct report report = {0};
    struct examination examination = {.settings = &load->settings, .load = load};
    long timeout_s = TIMEOUT_S;
    long age_s = AGE_S;
    if (!read_seconds("timeout", timeout_text, TIMEOUT_S_MAX, &timeout_s) ||
        !read_seconds("transaction-age", age_text, AGE_S_MAX, &age_s))
        return EXIT_BAD_USAGE;
    examination.timeout_ms = (int)timeout_s * 1000;
    examination.transaction_age_s = age_s;
    struct buffer migrate = repeat_flags(load, &usage_migrate, true);
    struct buffer pool = repeat_flags(load, &usage_pool, true);
    struct buffer resume = repeat_flags(load, &usage_resume, false);
    examination.flags_migrate = migrate.data;
    examination.flags_pool = pool.data;
    examination.flags_resume = resume.data;
    log_init_quiet(load->settings.log_level, "doctor");
    examination_run(&examination, tell, &report);
    examination_done(&examination);
    print_sum(&report);
    buffer_done(&migrate);
    buffer_done(&pool);
    buffer_done(&resume);
    return verdict_of(&report);
}

/* Waits for the examiner; a stop that we are asked for is passed on. */
static int wait_for(pid_t examiner)
{
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(examiner, &status, WNOHANG)) == 0) {
        (void)!signals_wait(NULL, 0, -1);
        if (signals_look_for_stop()) (void)kill(examiner, SIGTERM);
    }
    if (ended < 0) return EXIT_TEMPORARY;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    if (signals_look_for_stop()) {
        (void)fprintf(stderr, "winnow doctor: stopped before its end\n");
        return EXIT_TEMPORARY;
    }
    (void)fprintf(
        stderr,
        "winnow doctor: the examination was ended by signal %d (%s). librdkafka 2.0.2 can abort after a "
        "broker has not answered in time: try again with a longer --timeout\n",
        WTERMSIG(status), strsignal(WTERMSIG(status)));
    return EXIT_TEMPORARY;
}

/* In a process of its own, made before any client of Kafka: what the library does there must not leave the
 * operator without a word. */
static int examine_apart(const struct settings_load *load)
{
    const pid_t parent = getpid();
    const pid_t examiner = fork();
    if (examiner != 0) return examiner < 0 ? examine(load) : wait_for(examiner);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() != parent) _exit(EXIT_TEMPORARY);
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* what was found before an abort is told */
    signals_end_at_once(true);              /* librdkafka's waits hear of no signal */
    return examine(load);
}

int command_doctor(int argc, char **argv)
{
    struct settings_load load;
    int rest;
    int exit_code;
    signals_init(true);
    if (!settings_load_read(&usage_doctor, argc, argv, &load, &rest, &exit_code)) return exit_code;
    if (rest < argc) {
        exit_code = settings_refuse_argument("doctor", argv[rest]);
    } else {
        exit_code = examine_apart(&load);
    }
    settings_load_done(&load);
    return exit_code;
}
