/* The clock of a broker. None is told by any answer that this librdkafka hands on, but the offset that a
 * group commits is stamped with it: one is committed for a group of our own, GROUP.doctor, read back from the
 * topic in which Kafka keeps offsets, and taken away with its group. Nobody is in that group, and nothing is
 * written unless we may do all of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "doctor/examination.h"
#include "doctor/mend.h"
#include "kafka_reader.h"
#include "shell_quote.h"
#include "signals.h"

#define OFFSETS_TOPIC   "__consumer_offsets"
#define NAME_SIZE       300
#define KEY_HEAD_SIZE   4 /* version and length of the group's name, two bytes each, the higher one first */
#define KEY_VERSION_MAX 1 /* above: other things than offsets */
#define STEPS           4 /* that share the time of the check */

/* What is known on the way. */
struct stamp {
    char group[NAME_SIZE];
    int32_t partition; /* of the topic of offsets */
    int64_t end;       /* of its log, before the commit */
    int64_t before_ms; /* by the clock of this host */
    int64_t after_ms;
    int64_t stamped_ms; /* by the broker's; 0: not found */
    bool stays;         /* the group could not be taken away */
};

/* Kafka puts a group where the hash of its name says, as Java computes it: over UTF-16. A name that is not in
 * ASCII lands elsewhere, and its record is not found there. */
static int32_t partition_of(const char *group, int32_t partitions)
{
    uint32_t hash = 0;
    for (const char *c = group; *c != '\0'; c++) hash = hash * 31U + (unsigned char)*c;
    int64_t size = (int32_t)hash;
    if (size < 0) size = size == INT32_MIN ? 0 : -size;
    return (int32_t)(size % partitions);
}

static unsigned number_at(const char *data)
{
    const unsigned char *bytes = (const unsigned char *)data;
    return (unsigned)(bytes[0] << 8 | bytes[1]);
}

static bool is_ours(const struct stamp *stamp, const struct record *record)
{
    size_t size = strlen(stamp->group);
    if (record->key.data == NULL || record->key.size < KEY_HEAD_SIZE + size || record->value.data == NULL)
        return false;
    return number_at(record->key.data) <= KEY_VERSION_MAX && number_at(record->key.data + 2) == size &&
           memcmp(record->key.data + KEY_HEAD_SIZE, stamp->group, size) == 0;
}

static bool look_for_stamp(void *context, const struct record *record)
{
    struct stamp *stamp = context;
    if (!is_ours(stamp, record)) return true;
    stamp->stamped_ms = record->timestamp_ms;
    return false;
}

static void ignore(void *context, const struct record *record)
{
    (void)context;
    (void)record;
}

/* Where the record will stand, and that we may read there. */
static bool find_place(struct examination *examination, struct kafka_reader *reader, int timeout_ms,
                       struct stamp *stamp, struct fault *ret_fault)
{
    struct kafka_topic_view view;
    int64_t low;
    if (!kafka_admin_topic(examination->kafka, OFFSETS_TOPIC, timeout_ms, &view, ret_fault)) return false;
    stamp->partition = partition_of(stamp->group, view.partitions);
    if (!kafka_reader_range(reader, stamp->partition, timeout_ms, &low, &stamp->end, ret_fault)) return false;
    return kafka_reader_read(reader, stamp->partition, stamp->end, 1, timeout_ms, ignore, NULL, ret_fault) ||
           ret_fault->status == STATUS_REJECT; /* the log ends there */
}

static bool take_stamp(struct examination *examination, struct kafka_reader *reader, int timeout_ms,
                       struct stamp *stamp, struct fault *ret_fault)
{
    struct fault left;
    stamp->before_ms = clock_wall_ms();
    bool taken = kafka_admin_commit(examination->kafka, stamp->group, examination->settings->topic, 0, 0,
                                    timeout_ms, ret_fault);
    stamp->after_ms = clock_wall_ms();
    taken = taken && kafka_searcher_look(reader, stamp->partition, stamp->end, timeout_ms, look_for_stamp,
                                         stamp, ret_fault);
    stamp->stays = !kafka_admin_forget_group(examination->kafka, stamp->group, timeout_ms, &left);
    if (stamp->stays && taken) *ret_fault = left;
    return taken && !stamp->stays;
}

/* The group is deleted before, too: that tells whether it can be afterwards. */
static bool ask_broker(struct examination *examination, struct stamp *stamp, struct fault *ret_fault)
{
    struct settings settings = *examination->settings;
    char topic[] = OFFSETS_TOPIC;
    struct kafka_reader *reader = NULL;
    int timeout_ms = examination->timeout_ms / STEPS;
    settings.topic = topic;
    (void)snprintf(stamp->group, sizeof stamp->group, "%s.doctor", settings.group);
    bool done = kafka_searcher_open(&settings, &reader, ret_fault) &&
                kafka_admin_forget_group(examination->kafka, stamp->group, timeout_ms, ret_fault) &&
                find_place(examination, reader, timeout_ms, stamp, ret_fault);
    signals_end_at_once(false); /* what is committed is taken away again first */
    done = done && take_stamp(examination, reader, timeout_ms, stamp, ret_fault);
    signals_end_at_once(true);
    kafka_reader_free(reader);
    return done;
}

/* What our login lacks for it. */
static void tell_not_asked(struct examination *examination, struct finding *finding,
                           const struct stamp *stamp, const struct fault *fault)
{
    char word[NAME_SIZE];
    char resource[NAME_SIZE + 20];
    if (!kafka_fault_is_denial(fault)) {
        finding_add(finding, CHECK_SKIP, "no clock of a broker could be read: %s", fault->text);
        return;
    }
    finding_add(finding, CHECK_SKIP,
                "not asked: needs Read of topic " OFFSETS_TOPIC ", and Read and Delete of group %s",
                stamp->group);
    shell_quote(stamp->group, word, sizeof word);
    (void)snprintf(resource, sizeof resource, "--group %s", word);
    (void)mend_denial(examination, finding, fault, "--operation Read", "--topic " OFFSETS_TOPIC);
    (void)mend_denial(examination, finding, fault, "--operation Read --operation Delete", resource);
}

static void tell_left_behind(struct examination *examination, struct finding *finding, const char *group,
                             const struct fault *fault)
{
    char word[NAME_SIZE];
    shell_quote(group, word, sizeof word);
    finding_add(finding, CHECK_WARN, "group %s, with one offset, is left behind: %s", group, fault->text);
    mend_kafka(examination, finding, "kafka-consumer-groups.sh", "--delete --group %s", word);
}

void examine_broker_clock(struct examination *examination, struct finding *ret_finding)
{
    struct fault fault = {0};
    struct stamp stamp = {0};
    bool asked = ask_broker(examination, &stamp, &fault);
    if (stamp.stays)
        tell_left_behind(examination, ret_finding, stamp.group, &fault);
    else if (!asked)
        tell_not_asked(examination, ret_finding, &stamp, &fault);
    else if (stamp.stamped_ms <= 0)
        finding_add(ret_finding, CHECK_SKIP, "what the group %s committed was not found in " OFFSETS_TOPIC,
                    stamp.group);
    else
        judge_clock(ret_finding, "the broker's", (double)stamp.stamped_ms, stamp.before_ms, stamp.after_ms);
}
