/* What `winnow doctor` looks at: checks in the order in which one thing needs another. A check that fails is
 * told once; what needs it is skipped and says so. Nothing is written anywhere, but for one offset of a group
 * of our own that is taken away again (broker_clock.c). */
#ifndef WINNOW_EXAMINATION_H
#define WINNOW_EXAMINATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "database.h"
#include "kafka_admin.h"
#include "kafka_reader.h"
#include "settings.h"
#include "settings_load.h"
#include "status.h"

enum verdict { CHECK_OK, CHECK_WARN, CHECK_FAIL, CHECK_SKIP };

#define FOUND_SIZE 1024 /* bytes, with the terminating NUL */
#define MEND_SIZE  4096

/* What a check came to. */
struct finding {
    enum verdict verdict;
    char found[FOUND_SIZE]; /* one line for a person */
    char mend[MEND_SIZE];   /* commands to paste into a shell, one a line; "": there is none */
};

/* What checks leave for those behind them. */
struct examination {
    const struct settings *settings;
    const struct settings_load *load; /* which tells where they came from */
    const char *flags_migrate; /* the flags that were given, as they have to be given to `winnow migrate` */
    const char *flags_pool;    /* the same for `winnow pool` */
    const char *flags_resume;  /* the same for `winnow resume`, but for the database */
    int timeout_ms;            /* of a check */
    int64_t transaction_age_s; /* from which an open transaction is a finding */

    struct kafka_admin *kafka; /* NULL until "configuration" is ok */
    struct kafka_cluster cluster;
    struct kafka_topic_view topic;
    struct kafka_config *dead_letter_config; /* NULL: not known */
    struct kafka_config *topic_config;

    struct kafka_reader *reader; /* NULL until the topic is read */

    struct database *database; /* NULL: it could not be opened, see the fault */
    bool database_asked;
    struct fault database_fault;
    char owner[64]; /* of the schema winnow; "" until "schema" is ok */
};

struct check {
    const char *name;
    const char *needs; /* names of checks before it, separated by spaces; "": none */
    void (*run)(struct examination *examination, struct finding *ret_finding);
};

extern const struct check checks[];
extern const size_t check_count;

/* Called as soon as a check is done. */
typedef void (*examination_tell)(void *context, const struct check *check, const struct finding *finding);

/* Runs every check. */
void examination_run(struct examination *examination, examination_tell tell, void *context);
void examination_done(struct examination *examination);

/* "ok", "warn", "fail", "skip". */
const char *verdict_name(enum verdict verdict);

/* Fill in a finding. The last one counts, but a verdict only becomes worse: ok < warn < fail. Texts that are
 * told before are kept and the new one is put behind "; ". */
void finding_add(struct finding *finding, enum verdict verdict, const char *format, ...) PRINTF_LIKE(3, 4);

/* Runs a statement of a check; when it fails, so does the check. */
MUST_CHECK bool ask_database(struct examination *examination, struct finding *finding, const char *sql,
                             struct rows **ret_rows);

/* The same with $1, how old a transaction may be, as text. */
MUST_CHECK bool ask_with_age(struct examination *examination, struct finding *finding, const char *sql,
                             struct rows **ret_rows);

/* The same with $1, the group, and $2, the topic. */
MUST_CHECK bool ask_stream(struct examination *examination, struct finding *finding, const char *sql,
                           struct rows **ret_rows);

/* Compares the time that a clock told, asked between two moments of this host's. */
void judge_clock(struct finding *finding, const char *whose, double told_ms, int64_t before_ms,
                 int64_t after_ms);

/* The checks, by what they look at. */
void examine_configuration(struct examination *examination, struct finding *ret_finding);
void examine_libraries(struct examination *examination, struct finding *ret_finding);

void examine_brokers(struct examination *examination, struct finding *ret_finding);
void examine_advertised(struct examination *examination, struct finding *ret_finding);
void examine_topic(struct examination *examination, struct finding *ret_finding);
void examine_workers(struct examination *examination, struct finding *ret_finding);
void examine_topic_settings(struct examination *examination, struct finding *ret_finding);
void examine_read_permission(struct examination *examination, struct finding *ret_finding);
void examine_group(struct examination *examination, struct finding *ret_finding);
void examine_dead_letter_topic(struct examination *examination, struct finding *ret_finding);
void examine_dead_letter_settings(struct examination *examination, struct finding *ret_finding);
void examine_write_permission(struct examination *examination, struct finding *ret_finding);

void examine_postgresql(struct examination *examination, struct finding *ret_finding);
void examine_login(struct examination *examination, struct finding *ret_finding);
void examine_database(struct examination *examination, struct finding *ret_finding);
void examine_writable(struct examination *examination, struct finding *ret_finding);
void examine_schema(struct examination *examination, struct finding *ret_finding);
void examine_privileges(struct examination *examination, struct finding *ret_finding);
void examine_months(struct examination *examination, struct finding *ret_finding);
void examine_default(struct examination *examination, struct finding *ret_finding);
void examine_durability(struct examination *examination, struct finding *ret_finding);
void examine_connections(struct examination *examination, struct finding *ret_finding);
void examine_locks(struct examination *examination, struct finding *ret_finding);
void examine_disk(struct examination *examination, struct finding *ret_finding);
void examine_database_clock(struct examination *examination, struct finding *ret_finding);
void examine_broker_clock(struct examination *examination, struct finding *ret_finding);
void examine_cluster(struct examination *examination, struct finding *ret_finding);
void examine_halted(struct examination *examination, struct finding *ret_finding);
void examine_dead_letters(struct examination *examination, struct finding *ret_finding);
void examine_retention(struct examination *examination, struct finding *ret_finding);

#endif
