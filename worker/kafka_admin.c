#include "kafka_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "kafka_client.h"
#include "kafka_properties.h"

#define SLICE_MS    200
#define PATIENCE_MS 1000 /* with a broker that cannot be reached: a second address of its name may do */

struct kafka_admin {
    rd_kafka_t *client;
    bool stuck; /* a request was not answered: 2.0.2 waits for it for ever when the client is destroyed */
    bool knows_groups;     /* the brokers know questions about groups */
    const char *client_id; /* how members of ours call themselves */
};

bool kafka_admin_open(const struct settings *settings, struct kafka_admin **ret_admin,
                      struct fault *ret_fault)
{
    rd_kafka_t *client = NULL;
    if (!kafka_reader_client_new(settings, &client, ret_fault)) return false;
    struct kafka_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL) abort();
    admin->client = client;
    const char *id = kafka_property_value(settings, "client.id");
    admin->client_id = id != NULL ? id : "winnow";
    *ret_admin = admin;
    return true;
}

void kafka_admin_free(struct kafka_admin *admin)
{
    if (admin == NULL) return;
    if (!admin->stuck) rd_kafka_destroy(admin->client); /* else it ends with the process */
    free(admin);
}

/* ---- brokers ------------------------------------------------------------------------------------------ */

/* In slices, so that nobody waits for the whole time when it is known that nothing will come. */
static bool ask_in_slices(rd_kafka_t *client, int timeout_ms, struct fault *ret_fault)
{
    int64_t begin_ms = clock_now_ms();
    for (;;) {
        const struct rd_kafka_metadata *metadata = NULL;
        int64_t left_ms = begin_ms + timeout_ms - clock_now_ms();
        int slice_ms = left_ms < SLICE_MS ? (int)left_ms : SLICE_MS;
        rd_kafka_resp_err_t err = rd_kafka_metadata(client, 0, NULL, &metadata, slice_ms < 1 ? 1 : slice_ms);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_metadata_destroy(metadata);
            return true;
        }
        bool silent = err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TRANSPORT;
        bool hopeless = kafka_has_trouble() && clock_now_ms() - begin_ms >= PATIENCE_MS;
        if (silent && !hopeless && left_ms > SLICE_MS) continue;
        kafka_fault(ret_fault, "broker", err, "no answer");
        return false;
    }
}

bool kafka_broker_answers(const struct settings *settings, const char *address, int timeout_ms,
                          struct fault *ret_fault)
{
    char brokers[300];
    struct settings alone = *settings;
    rd_kafka_t *client = NULL;
    (void)snprintf(brokers, sizeof brokers, "%s", address);
    alone.brokers = brokers;
    if (!kafka_reader_client_new(&alone, &client, ret_fault)) return false;
    kafka_heed_trouble(client); /* others may go on complaining of other brokers */
    bool answers = ask_in_slices(client, timeout_ms, ret_fault);
    rd_kafka_destroy(client);
    kafka_heed_trouble(NULL);
    return answers;
}

static void copy_cluster(rd_kafka_t *client, const struct rd_kafka_metadata *metadata, int timeout_ms,
                         struct kafka_cluster *cluster)
{
    char *id = rd_kafka_clusterid(client, timeout_ms);
    (void)snprintf(cluster->id, sizeof cluster->id, "%s", id == NULL ? "" : id);
    if (id != NULL) rd_kafka_mem_free(client, id);
    for (int i = 0; i < metadata->broker_cnt && cluster->broker_count < KAFKA_BROKERS_MAX; i++)
        (void)snprintf(cluster->address[cluster->broker_count++], sizeof cluster->address[0], "%s:%d",
                       metadata->brokers[i].host, metadata->brokers[i].port);
}

bool kafka_admin_cluster(struct kafka_admin *admin, int timeout_ms, struct kafka_cluster *ret_cluster,
                         struct fault *ret_fault)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(admin->client, 0, NULL, &metadata, timeout_ms);
    *ret_cluster = (struct kafka_cluster){0};
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_fault(ret_fault, "brokers", err, "the brokers do not answer");
        return false;
    }
    copy_cluster(admin->client, metadata, timeout_ms, ret_cluster);
    rd_kafka_metadata_destroy(metadata);
    return true;
}

bool kafka_fault_is_denial(const struct fault *fault)
{
    return fault->code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           fault->code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           fault->code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

/* A broker that has just begun does not know yet what it leads, and a coordinator reads its groups first. */
static bool is_not_ready(const struct fault *fault)
{
    return fault->code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           fault->code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           fault->code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
           fault->code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
           fault->code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

/* After a question that failed: waits a moment, and tells whether to ask again. */
static bool may_ask_again(struct kafka_admin *admin, const struct fault *fault, int64_t deadline_ms)
{
    if (!is_not_ready(fault) || clock_now_ms() + SLICE_MS >= deadline_ms) return false;
    (void)rd_kafka_poll(admin->client, SLICE_MS);
    return true;
}

static int left_until(int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - clock_now_ms();
    return left_ms < 1 ? 1 : (int)left_ms;
}

/* ---- topics ------------------------------------------------------------------------------------------- */

static void view_partition(struct kafka_topic_view *view, const struct rd_kafka_metadata_partition *partition)
{
    if (partition->leader < 0 && view->leaderless++ == 0) view->first_leaderless = partition->id;
    view->under_replicated += partition->isr_cnt < partition->replica_cnt;
    if (view->replicas == 0 || partition->replica_cnt < view->replicas)
        view->replicas = partition->replica_cnt;
}

bool kafka_admin_topic(struct kafka_admin *admin, const char *topic, int timeout_ms,
                       struct kafka_topic_view *ret_view, struct fault *ret_fault)
{
    int32_t count = 0;
    const struct rd_kafka_metadata *metadata = NULL;
    if (!kafka_partition_count(admin->client, topic, timeout_ms, &count, ret_fault)) return false;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(admin->client, topic, NULL);
    rd_kafka_resp_err_t err = handle == NULL
                                  ? rd_kafka_last_error()
                                  : rd_kafka_metadata(admin->client, 0, handle, &metadata, timeout_ms);
    bool told = err == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1;
    *ret_view = (struct kafka_topic_view){.partitions = count};
    for (int i = 0; told && i < metadata->topics[0].partition_cnt; i++)
        view_partition(ret_view, &metadata->topics[0].partitions[i]);
    if (!told) kafka_fault(ret_fault, "topic", err, topic);
    if (metadata != NULL) rd_kafka_metadata_destroy(metadata);
    if (handle != NULL) rd_kafka_topic_destroy(handle);
    return told;
}

bool kafka_admin_range(struct kafka_admin *admin, const char *topic, int32_t partition, int timeout_ms,
                       int64_t *ret_low, int64_t *ret_high, struct fault *ret_fault)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    do {
        if (kafka_watermarks(admin->client, topic, partition, left_until(deadline_ms), ret_low, ret_high,
                             ret_fault))
            return true;
    } while (may_ask_again(admin, ret_fault, deadline_ms));
    return false;
}

/* ---- answers to the operator's requests --------------------------------------------------------------- */

/* A request under way: the queue that its answer comes to, and its options. */
struct request {
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
};

static struct request request_new(rd_kafka_t *client, rd_kafka_admin_op_t operation, int timeout_ms)
{
    char text[256];
    struct request request = {.queue = rd_kafka_queue_new(client),
                              .options = rd_kafka_AdminOptions_new(client, operation)};
    if (rd_kafka_AdminOptions_set_request_timeout(request.options, timeout_ms, text, sizeof text) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        abort(); /* outside 0 to an hour */
    return request;
}

/* The answer, owned by the caller; NULL with the fault. */
static rd_kafka_event_t *request_wait(struct kafka_admin *admin, struct request *request, const char *site,
                                      int timeout_ms, struct fault *ret_fault)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(request->queue, timeout_ms + SLICE_MS);
    rd_kafka_resp_err_t err = event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_fault(ret_fault, site, err, event == NULL ? NULL : rd_kafka_event_error_string(event));
        ret_fault->code = err;
        admin->stuck |= err == RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (event != NULL) rd_kafka_event_destroy(event);
        event = NULL;
    }
    return event;
}

/* Before any question to the coordinator of a group: 2.0.2 ends one that the coordinator does not know twice,
 * the second time with what it has freed, so that the process aborts or what is asked next stays open. All
 * brokers that know one question about groups know the others. */
static bool knows_groups(struct kafka_admin *admin, const char *group, struct fault *ret_fault)
{
    if (admin->knows_groups) return true;
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(admin->client, group, &list, PATIENCE_MS);
    if (list != NULL) rd_kafka_group_list_destroy(list);
    admin->knows_groups = err != RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
    if (admin->knows_groups) return true;
    kafka_fault(ret_fault, "group", err, NULL);
    ret_fault->code = err;
    return false;
}

static void request_done(struct request *request)
{
    rd_kafka_AdminOptions_destroy(request->options);
    rd_kafka_queue_destroy(request->queue);
}

struct kafka_config {
    rd_kafka_event_t *event; /* owns the entries */
    const rd_kafka_ConfigEntry_t **entries;
    size_t count;
};

/* Takes the event over. */
static bool take_config(rd_kafka_event_t *event, struct kafka_config **ret_config, struct fault *ret_fault)
{
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    rd_kafka_resp_err_t err =
        count == 1 ? rd_kafka_ConfigResource_error(resources[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_fault(ret_fault, "topic configuration", err, NULL);
        ret_fault->code = err;
        rd_kafka_event_destroy(event);
        return false;
    }
    struct kafka_config *config = calloc(1, sizeof *config);
    if (config == NULL) abort();
    config->event = event;
    config->entries = rd_kafka_ConfigResource_configs(resources[0], &config->count);
    *ret_config = config;
    return true;
}

bool kafka_admin_topic_config(struct kafka_admin *admin, const char *topic, int timeout_ms,
                              struct kafka_config **ret_config, struct fault *ret_fault)
{
    struct request request = request_new(admin->client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(admin->client, &resource, 1, request.options, request.queue);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_t *event = request_wait(admin, &request, "topic configuration", timeout_ms, ret_fault);
    request_done(&request);
    return event != NULL && take_config(event, ret_config, ret_fault);
}

const char *kafka_config_text(const struct kafka_config *config, const char *name)
{
    for (size_t i = 0; config != NULL && i < config->count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(config->entries[i]);
        if (value != NULL && strcmp(rd_kafka_ConfigEntry_name(config->entries[i]), name) == 0) return value;
    }
    return "";
}

int64_t kafka_config_number(const struct kafka_config *config, const char *name)
{
    const char *text = kafka_config_text(config, name);
    return text[0] == '\0' ? -1 : strtoll(text, NULL, 10);
}

void kafka_config_free(struct kafka_config *config)
{
    if (config == NULL) return;
    rd_kafka_event_destroy(config->event);
    free(config);
}

/* ---- groups ------------------------------------------------------------------------------------------- */

static void view_member(struct kafka_group_view *view, const char *our_id,
                        const rd_kafka_MemberDescription_t *member)
{
    const char *client_id = rd_kafka_MemberDescription_client_id(member);
    const char *host = rd_kafka_MemberDescription_host(member);
    view->member_count++;
    if (client_id != NULL && strcmp(client_id, our_id) == 0) return;
    if (view->foreign_count++ > 0) return;
    if (host != NULL && host[0] == '/') host++;
    (void)snprintf(view->foreign, sizeof view->foreign, "%s at %s", client_id == NULL ? "?" : client_id,
                   host == NULL ? "?" : host);
}

static bool view_group(const rd_kafka_ConsumerGroupDescription_t *group, const char *our_id,
                       struct kafka_group_view *view, struct fault *ret_fault)
{
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(group);
    const char *assignor = rd_kafka_ConsumerGroupDescription_partition_assignor(group);
    if (error != NULL) {
        kafka_fault(ret_fault, "group", rd_kafka_error_code(error), NULL);
        ret_fault->code = rd_kafka_error_code(error);
        return false;
    }
    *view = (struct kafka_group_view){0};
    (void)snprintf(view->state, sizeof view->state, "%s",
                   rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(group)));
    (void)snprintf(view->assignor, sizeof view->assignor, "%s", assignor == NULL ? "" : assignor);
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++)
        view_member(view, our_id, rd_kafka_ConsumerGroupDescription_member(group, i));
    return true;
}

static bool ask_group(struct kafka_admin *admin, const char *group, int timeout_ms,
                      struct kafka_group_view *ret_view, struct fault *ret_fault)
{
    size_t count = 0;
    struct request request = request_new(admin->client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout_ms);
    rd_kafka_DescribeConsumerGroups(admin->client, &group, 1, request.options, request.queue);
    rd_kafka_event_t *event = request_wait(admin, &request, "group", timeout_ms, ret_fault);
    request_done(&request);
    if (event == NULL) return false;
    const rd_kafka_ConsumerGroupDescription_t **groups = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    bool told = count == 1 && view_group(groups[0], admin->client_id, ret_view, ret_fault);
    if (count != 1)
        fault_set(ret_fault, STATUS_RETRY, "group", "the brokers answered about %zu groups", count);
    rd_kafka_event_destroy(event);
    return told;
}

bool kafka_admin_group(struct kafka_admin *admin, const char *group, int timeout_ms,
                       struct kafka_group_view *ret_view, struct fault *ret_fault)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    if (!knows_groups(admin, group, ret_fault)) return false;
    do {
        if (ask_group(admin, group, left_until(deadline_ms), ret_view, ret_fault)) return true;
    } while (may_ask_again(admin, ret_fault, deadline_ms));
    return false;
}

bool kafka_admin_members(struct kafka_admin *admin, const char *group, int timeout_ms, int64_t *ret_ours)
{
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(admin->client, group, &list, timeout_ms);
    bool told = err == RD_KAFKA_RESP_ERR_NO_ERROR && list->group_cnt == 1;
    int64_t ours = 0;
    for (int i = 0; told && i < list->groups[0].member_cnt; i++) {
        const char *client_id = list->groups[0].members[i].client_id;
        ours += client_id != NULL && strcmp(client_id, admin->client_id) == 0;
    }
    bool none = err == RD_KAFKA_RESP_ERR_NO_ERROR && list->group_cnt == 0;
    if (list != NULL) rd_kafka_group_list_destroy(list);
    if (told || none) *ret_ours = ours;
    return told || none;
}

/* ---- a group's offsets --------------------------------------------------------------------------------- */

/* Of the only group that was asked about. */
static bool judge_group(const rd_kafka_group_result_t **groups, size_t count, const char *site,
                        struct fault *ret_fault)
{
    const rd_kafka_error_t *error = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
    rd_kafka_resp_err_t err = error != NULL ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (count != 1) err = RD_KAFKA_RESP_ERR__BAD_MSG;
    const rd_kafka_topic_partition_list_t *places =
        count == 1 ? rd_kafka_group_result_partitions(groups[0]) : NULL;
    for (int i = 0; places != NULL && i < places->cnt; i++) {
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) err = places->elems[i].err;
    }
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    kafka_fault(ret_fault, site, err, NULL);
    ret_fault->code = err;
    return false;
}

bool kafka_admin_commit(struct kafka_admin *admin, const char *group, const char *topic, int32_t partition,
                        int64_t offset, int timeout_ms, struct fault *ret_fault)
{
    static const char site[] = "commit";
    size_t count = 0;
    if (!knows_groups(admin, group, ret_fault)) return false;
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(places, topic, partition)->offset = offset;
    rd_kafka_AlterConsumerGroupOffsets_t *order = rd_kafka_AlterConsumerGroupOffsets_new(group, places);
    rd_kafka_topic_partition_list_destroy(places);
    struct request request =
        request_new(admin->client, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, timeout_ms);
    rd_kafka_AlterConsumerGroupOffsets(admin->client, &order, 1, request.options, request.queue);
    rd_kafka_AlterConsumerGroupOffsets_destroy(order);
    rd_kafka_event_t *event = request_wait(admin, &request, site, timeout_ms, ret_fault);
    request_done(&request);
    if (event == NULL) return false;
    const rd_kafka_group_result_t **groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
    bool done = judge_group(groups, count, site, ret_fault);
    rd_kafka_event_destroy(event);
    return done;
}

bool kafka_admin_forget_group(struct kafka_admin *admin, const char *group, int timeout_ms,
                              struct fault *ret_fault)
{
    static const char site[] = "delete group";
    size_t count = 0;
    if (!knows_groups(admin, group, ret_fault)) return false;
    rd_kafka_DeleteGroup_t *order = rd_kafka_DeleteGroup_new(group);
    struct request request = request_new(admin->client, RD_KAFKA_ADMIN_OP_DELETEGROUPS, timeout_ms);
    rd_kafka_DeleteGroups(admin->client, &order, 1, request.options, request.queue);
    rd_kafka_DeleteGroup_destroy(order);
    rd_kafka_event_t *event = request_wait(admin, &request, site, timeout_ms, ret_fault);
    request_done(&request);
    if (event == NULL) return false;
    const rd_kafka_group_result_t **groups =
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
    bool done = judge_group(groups, count, site, ret_fault) ||
                ret_fault->code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND;
    rd_kafka_event_destroy(event);
    return done;
}
