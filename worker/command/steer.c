#include "command/steer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counted.h"
#include "exit_code.h"
#include "operator.h"
#include "reject.h"
#include "settings_check.h"
#include "utf8.h"

#define ACTOR_SIZE 128
#define NOTE_CHARS 500 /* of winnow.steering */

static const char partitions_sql[] =
    "SELECT l.partition, (l.state = 'halted')::int, coalesce(l.halt_reason, ''), l.next_offset, s.cluster_id,"
    " (EXISTS (SELECT FROM winnow.retention))::int"
    " FROM winnow.processing_log AS l JOIN winnow.stream AS s USING (stream_id)"
    " WHERE s.consumer_group = $1 AND s.topic = $2 ORDER BY l.partition";

static const char steer_sql[] =
    "SELECT from_offset, to_offset, skipped, read_again, dead_letters, unpublished"
    " FROM winnow.steer_partition($1, $2::integer, $3, $4, $5::bigint, $6::bigint, $7::boolean, $8::boolean,"
    " $9, $10)";

int steer_complain(const struct steer *steer, const struct fault *fault)
{
    (void)fprintf(stderr, "winnow %s: %s%s%s\n", steer->command, fault->text,
                  fault->sqlstate[0] != '\0' ? ", SQLSTATE " : "", fault->sqlstate);
    return fault->status == STATUS_RETRY ? EXIT_UNREACHABLE : EXIT_BAD_CONFIG;
}

bool steer_read_number(const char *text, int64_t *ret_number)
{
    char *end;
    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

/* As long as PostgreSQL counts: characters, not bytes. */
int steer_check_note(const char *command, const char *text)
{
    const size_t count = text != NULL ? utf8_count(text, strlen(text)) : 1;
    if (count >= 1 && count <= NOTE_CHARS) return EXIT_DRAINED;
    return settings_refuse(command, "--reason: found %s, expected why, in 1 to %d characters",
                           count == 0 ? "nothing" : "more", NOTE_CHARS);
}

static int complain_of_word(const struct steer *steer, const char *word)
{
    return settings_refuse(steer->command,
                           "found %s, expected a topic, or one with its partitions: events/3 or events/0,1",
                           settings_found(word));
}

/* Cuts the word at its slash; the topic must be the setting's, if there is one. */
static int read_topic(struct steer *steer, const char *word, const char **ret_list)
{
    const char *slash = strchr(word, '/');
    const size_t size = slash == NULL ? strlen(word) : (size_t)(slash - word);
    *ret_list = slash == NULL ? NULL : slash + 1;
    if (size == 0) return complain_of_word(steer, word);
    char *topic = strndup(word, size);
    if (topic == NULL) abort();
    if (check_topic(topic) != NULL) {
        free(topic);
        return complain_of_word(steer, word);
    }
    if (steer->settings->topic != NULL && strcmp(steer->settings->topic, topic) != 0) {
        (void)settings_refuse(steer->command, "found topic %s, but %s in the settings; which one is meant?",
                              topic, steer->settings->topic);
        free(topic);
        return EXIT_BAD_USAGE;
    }
    free(steer->settings->topic);
    steer->settings->topic = topic;
    return EXIT_DRAINED;
}

static struct steer_partition *find(struct steer *steer, int64_t number)
{
    for (size_t i = 0; i < steer->count; i++) {
        if (steer->partitions[i].number == number) return &steer->partitions[i];
    }
    return NULL;
}

/* Of a topic that was made anew with fewer partitions; without a log there is no place to go to. */
static void choose_all(struct steer *steer)
{
    for (size_t i = 0; i < steer->count; i++) {
        struct steer_partition *partition = &steer->partitions[i];
        partition->chosen = partition->is_there;
        if (!partition->is_there)
            (void)printf("partition %" PRId32 ": not in the topic any more, left alone\n", partition->number);
    }
}

static int choose_one(struct steer *steer, long number)
{
    struct steer_partition *partition = find(steer, number);
    if (partition != NULL && partition->is_there) {
        partition->chosen = true;
        return EXIT_DRAINED;
    }
    (void)fprintf(stderr, "winnow %s: partition %ld of topic %s is not %s%s; see: winnow status\n",
                  steer->command, number, steer->settings->topic,
                  partition == NULL ? "known to group " : "in the topic any more",
                  partition == NULL ? steer->settings->group : "");
    return EXIT_FINDING;
}

/* "0,1,5"; NULL chooses all. */
static int choose(struct steer *steer, const char *word, const char *list)
{
    int exit_code = EXIT_DRAINED;
    if (list == NULL) choose_all(steer);
    while (list != NULL && exit_code == EXIT_DRAINED) {
        char *end;
        const long number = strtol(list, &end, 10);
        if (end == list || (*end != '\0' && *end != ',')) return complain_of_word(steer, word);
        exit_code = choose_one(steer, number);
        list = *end == ',' ? end + 1 : NULL;
    }
    return exit_code;
}

static int check_cluster(const struct steer *steer, const char *known, const char *found)
{
    if (strcmp(known, found) == 0) return EXIT_DRAINED;
    (void)fprintf(
        stderr,
        "winnow %s: topic %s of group %s was read from Kafka cluster %s, but the brokers are cluster "
        "%s, where its offsets mean nothing: name the right brokers (-b), or read the topic of this "
        "cluster from its beginning with another group (-g); equal events are duplicates then\n",
        steer->command, steer->settings->topic, steer->settings->group, known, found);
    return EXIT_BAD_CONFIG;
}

static bool read_partitions(struct steer *steer, struct rows **ret_rows, struct fault *ret_fault)
{
    const struct sql_parameter parameters[] = {sql_text(steer->settings->group),
                                               sql_text(steer->settings->topic)};
    if (!database_run(steer->database, steer->command, partitions_sql, parameters, 2, ret_rows, ret_fault))
        return false;
    steer->count = rows_count(*ret_rows);
    steer->partitions = calloc(steer->count + 1, sizeof(*steer->partitions));
    if (steer->partitions == NULL) abort();
    for (size_t i = 0; i < steer->count; i++) {
        struct steer_partition *partition = &steer->partitions[i];
        partition->number = (int32_t)rows_int(*ret_rows, i, 0);
        partition->halted = rows_int(*ret_rows, i, 1) == 1;
        (void)snprintf(partition->halt_reason, sizeof(partition->halt_reason), "%s",
                       rows_text(*ret_rows, i, 2));
        partition->next_offset = rows_int(*ret_rows, i, 3);
        steer->months_are_dropped = rows_int(*ret_rows, i, 5) == 1;
    }
    return true;
}

static int learn_database(struct steer *steer, const char *cluster)
{
    struct rows *rows = NULL;
    struct fault fault;
    const struct database_options options = {
        .conninfo = steer->settings->database,
        .application_name = "winnow steer",
        .statement_timeout_ms = steer->settings->statement_timeout_ms,
    };
    if (!database_open(&options, &steer->database, &fault) || !read_partitions(steer, &rows, &fault))
        return steer_complain(steer, &fault);
    int exit_code = EXIT_DRAINED;
    if (steer->count == 0) {
        (void)fprintf(stderr, "winnow %s: group %s has read nothing of topic %s; see: winnow status\n",
                      steer->command, steer->settings->group, steer->settings->topic);
        exit_code = EXIT_FINDING;
    } else {
        exit_code = check_cluster(steer, rows_text(rows, 0, 4), cluster);
    }
    rows_free(rows);
    return exit_code;
}

static int learn_brokers(struct steer *steer, char **ret_cluster, struct partition_range **ret_ranges,
                         int32_t *ret_count)
{
    struct fault fault;
    if (!kafka_offsets_open(steer->settings, &steer->offsets, &fault)) return steer_complain(steer, &fault);
    if (!kafka_offsets_read(steer->offsets, STEER_TIMEOUT_MS, ret_ranges, ret_count, &fault))
        return steer_complain(steer, &fault);
    *ret_cluster = kafka_offsets_cluster(steer->offsets, STEER_TIMEOUT_MS, &fault);
    return *ret_cluster != NULL ? EXIT_DRAINED : steer_complain(steer, &fault);
}

int steer_begin(struct steer *steer, const char *word)
{
    char *cluster = NULL;
    struct partition_range *ranges = NULL;
    int32_t count = 0;
    const char *list = NULL;
    int exit_code = word == NULL ? EXIT_DRAINED : read_topic(steer, word, &list);
    if (exit_code == EXIT_DRAINED && !settings_require(steer->settings, "brokers topic"))
        exit_code = EXIT_BAD_CONFIG;
    if (exit_code == EXIT_DRAINED) exit_code = learn_brokers(steer, &cluster, &ranges, &count);
    if (exit_code == EXIT_DRAINED) exit_code = learn_database(steer, cluster);
    for (size_t i = 0; exit_code == EXIT_DRAINED && i < steer->count; i++) {
        struct steer_partition *partition = &steer->partitions[i];
        partition->is_there = partition->number < count;
        if (partition->is_there) partition->range = ranges[partition->number];
    }
    if (exit_code == EXIT_DRAINED) exit_code = choose(steer, word, list);
    free(cluster);
    free(ranges);
    return exit_code;
}

void steer_end(struct steer *steer)
{
    kafka_offsets_free(steer->offsets);
    database_close(steer->database);
    free(steer->partitions);
}

int64_t steer_clamp(const struct steer_partition *partition, int64_t target)
{
    const struct partition_range *range = &partition->range;
    const int64_t clamped = target < range->low ? range->low : target > range->high ? range->high : target;
    if (clamped != target) {
        (void)printf("partition %" PRId32 ": the topic holds offsets from %" PRId64 " to before %" PRId64
                     "; %" PRId64 " becomes %" PRId64 "\n",
                     partition->number, range->low, range->high, target, clamped);
    }
    return clamped;
}

/* Who does it, and where. */
static const char *actor(char ret_actor[ACTOR_SIZE])
{
    char host[64] = "";
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(ret_actor, ACTOR_SIZE, "%.40s@%s", operator_name(NULL), host);
    return ret_actor;
}

static bool call(const struct steer *steer, struct steer_partition *partition, bool is_dry,
                 struct fault *ret_fault)
{
    char number[16];
    char target[24];
    char lowest[24];
    char who[ACTOR_SIZE];
    struct rows *rows = NULL;
    (void)snprintf(number, sizeof(number), "%" PRId32, partition->number);
    (void)snprintf(target, sizeof(target), "%" PRId64, partition->target);
    (void)snprintf(lowest, sizeof(lowest), "%" PRId64, partition->range.low);
    const struct sql_parameter parameters[] = {
        sql_text(steer->settings->topic),
        sql_text(number),
        sql_text(steer->settings->group),
        sql_text(steer->command),
        sql_text(partition->stays ? NULL : target),
        sql_text(lowest),
        sql_text(partition->is_new_log ? "true" : "false"),
        sql_text(is_dry ? "true" : "false"),
        sql_text(actor(who)),
        sql_text(steer->note),
    };
    if (!database_run(steer->database, steer->command, steer_sql, parameters, ARRAY_COUNT(parameters), &rows,
                      ret_fault)) {
        return false;
    }
    partition->from_offset = rows_int(rows, 0, 0);
    partition->to_offset = rows_int(rows, 0, 1);
    partition->skipped = rows_int(rows, 0, 2);
    partition->read_again = rows_int(rows, 0, 3);
    partition->dead_letters = rows_int(rows, 0, 4);
    partition->unpublished = rows_int(rows, 0, 5);
    rows_free(rows);
    return true;
}

/* A seek that moves nothing is none; a resume always does something. */
static bool changes(const struct steer *steer, const struct steer_partition *partition)
{
    return strcmp(steer->command, "resume") == 0 || partition->skipped > 0 || partition->read_again > 0;
}

bool steer_has_work(const struct steer *steer)
{
    for (size_t i = 0; i < steer->count; i++) {
        if (steer->partitions[i].chosen && changes(steer, &steer->partitions[i])) return true;
    }
    return false;
}

int steer_plan(struct steer *steer)
{
    struct fault fault;
    for (size_t i = 0; i < steer->count; i++) {
        if (!steer->partitions[i].chosen) continue;
        if (!call(steer, &steer->partitions[i], true, &fault)) return steer_complain(steer, &fault);
    }
    return EXIT_DRAINED;
}

/* Workers may have gone on since the plan: what was to skip must not come to read again. */
static bool do_one(const struct steer *steer, struct steer_partition *partition, struct fault *ret_fault)
{
    struct fault unused;
    const bool forward = partition->skipped > 0;
    bool done = database_run(steer->database, steer->command, "BEGIN", NULL, 0, NULL, ret_fault) &&
                call(steer, partition, false, ret_fault);
    if (done && forward && partition->read_again > 0) {
        fault_set(ret_fault, STATUS_STOP, steer->command,
                  "partition %" PRId32 " has meanwhile been read to %" PRId64
                  ", behind the target: nothing was changed there",
                  partition->number, partition->from_offset);
        done = false;
    }
    if (done) return database_run(steer->database, steer->command, "COMMIT", NULL, 0, NULL, ret_fault);
    if (database_is_alive(steer->database))
        (void)!database_run(steer->database, steer->command, "ROLLBACK", NULL, 0, NULL, &unused);
    return false;
}

int steer_execute(struct steer *steer)
{
    struct fault fault;
    for (size_t i = 0; i < steer->count; i++) {
        struct steer_partition *partition = &steer->partitions[i];
        if (!partition->chosen || !changes(steer, partition)) continue;
        if (!do_one(steer, partition, &fault)) return steer_complain(steer, &fault);
    }
    return EXIT_DRAINED;
}

static void print_letters(const struct steer_partition *partition)
{
    if (partition->dead_letters == 0) return;
    (void)printf("  %" PRId64 " %s to winnow.dead_letter_superseded%s\n", partition->dead_letters,
                 counted(partition->dead_letters, "dead letter of these offsets moves",
                         "dead letters of these offsets move"),
                 partition->is_new_log ? ""
                                       : counted(partition->dead_letters, ", and its message is judged anew",
                                                 ", and their messages are judged anew"));
    if (partition->unpublished > 0 && partition->is_new_log)
        (void)printf("  %" PRId64 " of them %s not in the dead-letter topic and will not come there\n",
                     partition->unpublished, counted(partition->unpublished, "is", "are"));
}

static void print_one(const struct steer_partition *partition, bool done)
{
    (void)printf("partition %" PRId32 ": ", partition->number);
    if (partition->is_new_log)
        (void)printf("another log, begins at offset %" PRId64 "; its account begins anew\n",
                     partition->to_offset);
    else if (partition->skipped > 0)
        (void)printf("%" PRId64 " -> %" PRId64 ", %s %" PRId64 " %s\n", partition->from_offset,
                     partition->to_offset, done ? "skipped" : "skips", partition->skipped,
                     counted(partition->skipped, "offset", "offsets"));
    else if (partition->read_again > 0)
        (void)printf("%" PRId64 " -> %" PRId64 ", reads %" PRId64 " %s again%s\n", partition->from_offset,
                     partition->to_offset, partition->read_again,
                     counted(partition->read_again, "offset", "offsets"),
                     partition->to_offset != partition->target ? ", from a batch's beginning on" : "");
    else
        (void)printf("stays at %" PRId64 "\n", partition->from_offset);
    print_letters(partition);
}

void steer_print(const struct steer *steer, bool done)
{
    bool again = false;
    for (size_t i = 0; i < steer->count; i++) {
        const struct steer_partition *partition = &steer->partitions[i];
        if (!partition->chosen) continue;
        print_one(partition, done);
        again = again || partition->read_again > 0 || partition->is_new_log;
    }
    if (again && !done)
        (void)printf(
            "What is stored already is a duplicate when it is read again%s.\n",
            steer->months_are_dropped
                ? ", but for events of months that were dropped: those are stored, and counted, again"
                : "");
}
