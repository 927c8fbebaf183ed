/* The topics, the group, the permissions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counted.h"
#include "doctor/examination.h"
#include "doctor/mend.h"
#include "kafka_permission.h"
#include "kafka_properties.h"
#include "library_versions.h"
#include "shell_quote.h"

#define ADDRESS_SIZE 300

void examine_configuration(struct examination *examination, struct finding *ret_finding)
{
    struct fault fault = {0};
    const struct settings *settings = examination->settings;
    bool names_service = false;
    if (settings->brokers == NULL || settings->topic == NULL) {
        const char *missing = settings->brokers == NULL ? "brokers" : "topic";
        finding_add(ret_finding, CHECK_FAIL, "no %s given (-%c)", missing, missing[0]);
        mend_run(ret_finding, "export WINNOW_%s",
                 settings->brokers == NULL ? "BROKERS=localhost:9092" : "TOPIC=events");
        return;
    }
    if (!kafka_check_properties(settings, &fault) ||
        !database_check_conninfo(settings->database, &names_service, &fault) ||
        !kafka_admin_open(settings, &examination->kafka, &fault)) {
        finding_add(ret_finding, CHECK_FAIL, "%s", fault.text);
        mend_run(ret_finding, "winnow config print");
        return;
    }
    finding_add(ret_finding, CHECK_OK, "topic %s, group %s, dead letters to %s", settings->topic,
                settings->group, settings->dead_letter_topic);
}

void examine_libraries(struct examination *examination, struct finding *ret_finding)
{
    char text[128];
    struct library_versions versions = library_versions_read();
    const struct library_fault *fault = library_fault_find(&versions, examination->settings);
    library_versions_print(&versions, text, sizeof text);
    finding_add(ret_finding, CHECK_OK, "%s", text);
    if (fault == NULL) return;
    finding_add(ret_finding, fault->package == NULL ? CHECK_OK : CHECK_WARN, "%s", fault->text);
    if (fault->package != NULL)
        mend_run(ret_finding, "sudo apt-get install --only-upgrade %s", fault->package);
}

/* ---- topics ------------------------------------------------------------------------------------------- */

/* "--topic NAME", for a shell */
static void option_of(const char *option, const char *name, char ret_text[ADDRESS_SIZE])
{
    char word[ADDRESS_SIZE / 2 + 100];
    shell_quote(name, word, sizeof word);
    (void)snprintf(ret_text, ADDRESS_SIZE, "%s %s", option, word);
}

/* A topic that is missing is created as told. Nothing can be said of one about which no broker answers. */
static bool find_topic(struct examination *examination, const char *topic, const char *operation,
                       int64_t partitions, const char *config, struct kafka_topic_view *ret_view,
                       struct finding *ret_finding)
{
    struct fault fault;
    char resource[ADDRESS_SIZE];
    option_of("--topic", topic, resource);
    if (kafka_admin_topic(examination->kafka, topic, examination->timeout_ms, ret_view, &fault)) return true;
    finding_add(ret_finding, CHECK_FAIL, "%s", fault.text);
    if (!mend_denial(examination, ret_finding, &fault, operation, resource) && fault.status == STATUS_STOP)
        mend_kafka(examination, ret_finding, "kafka-topics.sh",
                   "--create --topic %s --partitions %" PRId64 "%s", topic, partitions, config);
    return false;
}

void examine_topic(struct examination *examination, struct finding *ret_finding)
{
    const char *topic = examination->settings->topic;
    struct kafka_topic_view *view = &examination->topic;
    if (!find_topic(examination, topic, "--operation Read --operation Describe",
                    examination->settings->workers, "", view, ret_finding))
        return;
    finding_add(ret_finding, CHECK_OK, "%s: %" PRId32 " %s, %" PRId32 " %s of each", topic, view->partitions,
                counted(view->partitions, "partition", "partitions"), view->replicas,
                counted(view->replicas, "copy", "copies"));
    if (view->leaderless > 0) {
        finding_add(ret_finding, CHECK_FAIL,
                    "%" PRId32 " of them without a leader, the first is %" PRId32 ": their brokers are down",
                    view->leaderless, view->first_leaderless);
        mend_kafka(examination, ret_finding, "kafka-topics.sh",
                   "--describe --topic %s --unavailable-partitions", topic);
    } else if (view->under_replicated > 0) {
        finding_add(ret_finding, CHECK_WARN, "%" PRId32 " of them with a copy that is behind or away",
                    view->under_replicated);
        mend_kafka(examination, ret_finding, "kafka-topics.sh",
                   "--describe --topic %s --under-replicated-partitions", topic);
    }
}

void examine_workers(struct examination *examination, struct finding *ret_finding)
{
    int32_t partitions = examination->topic.partitions;
    int64_t workers = examination->settings->workers;
    if (workers <= partitions) {
        finding_add(ret_finding, CHECK_OK, "%" PRId64 " %s for %" PRId32 " %s", workers,
                    counted(workers, "worker", "workers"), partitions,
                    counted(partitions, "partition", "partitions"));
        return;
    }
    finding_add(ret_finding, CHECK_WARN,
                "%" PRId64 " workers for %" PRId32 " %s: %" PRId64 " of them %s nothing to do", workers,
                partitions, counted(partitions, "partition", "partitions"), workers - partitions,
                counted(workers - partitions, "has", "have"));
    char number[16];
    (void)snprintf(number, sizeof number, "%" PRId32, partitions);
    mend_setting(examination, ret_finding, "workers", number, "");
}

/* ---- how topics are set ------------------------------------------------------------------------------- */

static bool read_config(struct examination *examination, const char *topic, struct kafka_config **ret_config,
                        struct finding *ret_finding)
{
    struct fault fault;
    char resource[ADDRESS_SIZE];
    option_of("--topic", topic, resource);
    if (kafka_admin_topic_config(examination->kafka, topic, examination->timeout_ms, ret_config, &fault))
        return true;
    bool denied = mend_denial(examination, ret_finding, &fault, "--operation DescribeConfigs", resource);
    if (denied)
        finding_add(ret_finding, CHECK_SKIP, "this login may not see how topic %s is set", topic);
    else
        finding_add(ret_finding, CHECK_SKIP, "the brokers do not tell how topic %s is set: %s", topic,
                    fault.text);
    return false;
}

void examine_topic_settings(struct examination *examination, struct finding *ret_finding)
{
    const char *topic = examination->settings->topic;
    struct kafka_config *config = NULL;
    if (!read_config(examination, topic, &config, ret_finding)) return;
    examination->topic_config = config;
    const char *cleanup = kafka_config_text(config, "cleanup.policy");
    finding_add(ret_finding, CHECK_OK, "cleanup.policy %s, retention.ms %s, %s", cleanup,
                kafka_config_text(config, "retention.ms"),
                kafka_config_text(config, "message.timestamp.type"));
    if (strcmp(kafka_config_text(config, "unclean.leader.election.enable"), "true") == 0) {
        finding_add(
            ret_finding, CHECK_WARN,
            "unclean.leader.election.enable=true: when brokers fail, acknowledged messages can be lost");
        mend_config(examination, ret_finding, topic, "unclean.leader.election.enable=false");
    }
    if (strstr(cleanup, "compact") != NULL) {
        finding_add(ret_finding, CHECK_FAIL,
                    "compaction deletes all but the last message of a key, and the key is the client");
        mend_config(examination, ret_finding, topic, "cleanup.policy=delete");
    }
}

void examine_dead_letter_topic(struct examination *examination, struct finding *ret_finding)
{
    struct kafka_topic_view view;
    const char *topic = examination->settings->dead_letter_topic;
    if (!find_topic(examination, topic, "--operation Write --operation Describe", 1,
                    " --config message.timestamp.type=LogAppendTime", &view, ret_finding))
        return;
    finding_add(ret_finding, CHECK_OK, "%s: %" PRId32 " %s", topic, view.partitions,
                counted(view.partitions, "partition", "partitions"));
}

static bool is_kept_by_time(const struct kafka_config *config)
{
    return strcmp(kafka_config_text(config, "message.timestamp.type"), "LogAppendTime") != 0 &&
           kafka_config_number(config, "retention.ms") >= 0;
}

void examine_dead_letter_settings(struct examination *examination, struct finding *ret_finding)
{
    const char *topic = examination->settings->dead_letter_topic;
    struct kafka_config *config = NULL;
    if (!read_config(examination, topic, &config, ret_finding)) return;
    examination->dead_letter_config = config;
    int64_t room = kafka_config_number(config, "max.message.bytes");
    int64_t source_room = kafka_config_number(examination->topic_config, "max.message.bytes");
    finding_add(ret_finding, CHECK_OK, "%s, retention.ms %s",
                kafka_config_text(config, "message.timestamp.type"),
                kafka_config_text(config, "retention.ms"));
    if (source_room > room) {
        finding_add(ret_finding, CHECK_WARN,
                    "max.message.bytes %" PRId64 " is less than the %" PRId64
                    " of %s: the largest letters are refused",
                    room, source_room, examination->settings->topic);
        char setting[64];
        (void)snprintf(setting, sizeof setting, "max.message.bytes=%" PRId64, source_room + INT64_C(65536));
        mend_config(examination, ret_finding, topic, setting);
    }
    if (is_kept_by_time(config)) {
        finding_add(
            ret_finding, CHECK_WARN,
            "letters keep their own timestamps, so that a retention by time deletes old ones at once");
        mend_config(examination, ret_finding, topic, "message.timestamp.type=LogAppendTime");
    }
    if (strstr(kafka_config_text(config, "cleanup.policy"), "compact") != NULL) {
        finding_add(ret_finding, CHECK_FAIL, "a compacted topic refuses messages without a key");
        mend_config(examination, ret_finding, topic, "cleanup.policy=delete");
    }
}

/* ---- permissions -------------------------------------------------------------------------------------- */

/* Who is in a group can be put out of it only where he runs. */
static void mend_group(struct examination *examination, struct finding *finding)
{
    char other[ADDRESS_SIZE];
    (void)snprintf(other, sizeof other, "%s-2", examination->settings->group);
    finding_add(finding, CHECK_OK, "end them there, or give winnow another group");
    mend_setting(examination, finding, "group", other,
                 "reads all there is; what is stored already ends as duplicates");
}

static void tell_members(struct examination *examination, const struct kafka_group_view *view,
                         struct finding *ret_finding)
{
    const char *group = examination->settings->group;
    finding_add(ret_finding, CHECK_OK, "%s: %zu %s%s%s", group, view->member_count,
                counted((int64_t)view->member_count, "member", "members"),
                view->assignor[0] != '\0' ? ", " : "", view->assignor);
    bool suits = view->assignor[0] == '\0' || strcmp(view->assignor, "range") == 0 ||
                 strcmp(view->assignor, "roundrobin") == 0;
    if (view->foreign_count > 0) {
        finding_add(ret_finding, suits ? CHECK_WARN : CHECK_FAIL,
                    "%zu of them %s partitions that nobody stores then: %s", view->foreign_count,
                    counted((int64_t)view->foreign_count, "is no worker of winnow and takes",
                            "are no workers of winnow and take"),
                    view->foreign);
    }
    if (!suits)
        finding_add(ret_finding, CHECK_FAIL, "workers cannot join a group that shares out by %s",
                    view->assignor);
    if (view->foreign_count > 0 || !suits) mend_group(examination, ret_finding);
}

void examine_group(struct examination *examination, struct finding *ret_finding)
{
    struct fault fault;
    struct kafka_group_view view;
    char resource[ADDRESS_SIZE];
    option_of("--group", examination->settings->group, resource);
    if (kafka_admin_group(examination->kafka, examination->settings->group, examination->timeout_ms, &view,
                          &fault)) {
        tell_members(examination, &view, ret_finding);
        return;
    }
    if (mend_denial(examination, ret_finding, &fault, "--operation Read", resource))
        finding_add(ret_finding, CHECK_FAIL, "may not use group %s", examination->settings->group);
    else
        finding_add(ret_finding, CHECK_SKIP, "the brokers do not tell who is in group %s: %s",
                    examination->settings->group, fault.text);
}

void examine_write_permission(struct examination *examination, struct finding *ret_finding)
{
    struct fault fault;
    char resource[ADDRESS_SIZE];
    const char *topic = examination->settings->dead_letter_topic;
    int64_t limit = kafka_config_number(examination->dead_letter_config, "max.message.bytes");
    option_of("--topic", topic, resource);
    if (kafka_may_write(examination->settings, topic, limit, examination->timeout_ms, &fault)) {
        if (limit >= 0 && limit <= KAFKA_OVERSIZE_MAX)
            finding_add(ret_finding, CHECK_OK, "may write to topic %s", topic);
        else
            finding_add(ret_finding, CHECK_OK, "may write idempotently; whether to topic %s %s", topic,
                        limit < 0 ? "can only be asked when its max.message.bytes is told"
                                  : "is not asked, for which a message above its max.message.bytes is sent");
        return;
    }
    if (mend_denial(examination, ret_finding, &fault, "--operation Write", resource))
        finding_add(ret_finding, CHECK_FAIL, "may not write to topic %s", topic);
    else
        finding_add(ret_finding, CHECK_FAIL, "%s", fault.text);
}
