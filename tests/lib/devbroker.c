/* A Kafka broker for development and tests: librdkafka's mock cluster in a process of its own. It keeps
 * everything in memory (per partition at most 5 MiB or 100,000 messages), knows no transaction markers,
 * compaction or authentication, and creates any topic that a client asks for.
 *
 *   devbroker [--brokers N] [--partitions N] [--topic NAME[:N]]… [--address-file PATH]
 *
 * Prints its bootstrap address as the first line of standard output. Ends when standard input closes, when
 * its parent dies, or on TERM. Commands come on standard input, one a line, each answered by a line "ok" or
 * "error …":
 *
 * error REQUEST CODE [COUNT] - the next COUNT (1) requests fail. REQUEST: produce, fetch, list_offsets,
 * metadata, offset_commit, offset_fetch, find_coordinator, join_group, heartbeat, leave_group, sync_group,
 * init_producer_id. CODE: a name (REQUEST_TIMED_OUT) or a number.
 *
 * clear REQUEST - forget such errors.
 *
 * topic-error TOPIC CODE - the topic answers with that error in metadata; 0 mends it.
 *
 * create TOPIC PARTITIONS - make a topic.
 *
 * leader TOPIC PARTITION BROKER - move a partition to a broker (from 1).
 *
 * rtt MS - delay every answer.
 *
 * down [BROKER], up [BROKER] - stop or start one broker, or all. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define WORDS_MAX  5
#define ERRORS_MAX 1000

struct broker {
    rd_kafka_t *client;
    rd_kafka_mock_cluster_t *cluster;
    int broker_count;
};

struct options {
    int broker_count;
    int partition_count; /* of topics given without a number */
    const char *address_file;
    const char *topics[64];
    int topic_count;
};

static const char usage[] =
    "usage: devbroker [--brokers N] [--partitions N] [--topic NAME[:N]]... [--address-file PATH]\n";

static bool read_number(const char *text, long min, long max, int *ret_number)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < min || number > max) return false;
    *ret_number = (int)number;
    return true;
}

/* ---- commands ----------------------------------------------------------------------------------------- */

/* Source: the protocol's table of API keys, https://kafka.apache.org/protocol#protocol_api_keys */
static const struct {
    const char *name;
    int16_t key;
} requests[] = {
    {"produce", 0},       {"fetch", 1},        {"list_offsets", 2},      {"metadata", 3},
    {"offset_commit", 8}, {"offset_fetch", 9}, {"find_coordinator", 10}, {"join_group", 11},
    {"heartbeat", 12},    {"leave_group", 13}, {"sync_group", 14},       {"init_producer_id", 22},
};

static bool find_request(const char *name, int16_t *ret_key)
{
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        if (strcmp(requests[i].name, name) != 0) continue;
        *ret_key = requests[i].key;
        return true;
    }
    return false;
}

static bool find_code(const char *text, rd_kafka_resp_err_t *ret_code)
{
    int number;
    if (read_number(text, -1, 1000, &number)) {
        *ret_code = (rd_kafka_resp_err_t)number;
        return true;
    }
    const struct rd_kafka_err_desc *codes;
    size_t count;
    rd_kafka_get_err_descs(&codes, &count);
    for (size_t i = 0; i < count; i++) {
        if (codes[i].name == NULL || strcmp(codes[i].name, text) != 0) continue;
        *ret_code = codes[i].code;
        return true;
    }
    return false;
}

static const char *do_error(struct broker *broker, int count, char **words)
{
    int16_t key;
    rd_kafka_resp_err_t code;
    int times = 1;
    if (count < 3 || !find_request(words[1], &key)) return "which request?";
    if (!find_code(words[2], &code)) return "which error code?";
    if (count > 3 && !read_number(words[3], 1, ERRORS_MAX, &times)) return "how often?";
    rd_kafka_resp_err_t codes[ERRORS_MAX];
    for (int i = 0; i < times; i++) codes[i] = code;
    rd_kafka_mock_push_request_errors_array(broker->cluster, key, (size_t)times, codes);
    return NULL;
}

static const char *do_clear(struct broker *broker, int count, char **words)
{
    int16_t key;
    if (count < 2 || !find_request(words[1], &key)) return "which request?";
    rd_kafka_mock_clear_request_errors(broker->cluster, key);
    return NULL;
}

static const char *do_topic_error(struct broker *broker, int count, char **words)
{
    rd_kafka_resp_err_t code;
    if (count < 3 || !find_code(words[2], &code)) return "which topic and code?";
    rd_kafka_mock_topic_set_error(broker->cluster, words[1], code);
    return NULL;
}

static const char *do_create(struct broker *broker, int count, char **words)
{
    int partition_count;
    if (count < 3 || !read_number(words[2], 1, 1000, &partition_count))
        return "which topic, how many partitions?";
    rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(broker->cluster, words[1], partition_count, 1);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(err);
}

static const char *do_leader(struct broker *broker, int count, char **words)
{
    int partition;
    int leader;
    if (count < 4 || !read_number(words[2], 0, 1000, &partition) ||
        !read_number(words[3], 1, broker->broker_count, &leader))
        return "which topic, partition and broker?";
    rd_kafka_resp_err_t err =
        rd_kafka_mock_partition_set_leader(broker->cluster, words[1], partition, leader);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(err);
}

/* For one broker when words[word] names it, else for all. */
static const char *for_brokers(struct broker *broker, int count, char **words, int word,
                               rd_kafka_resp_err_t (*change)(struct broker *broker, int32_t id, int value),
                               int value)
{
    int only = 0;
    if (count > word && !read_number(words[word], 1, broker->broker_count, &only)) return "which broker?";
    for (int id = 1; id <= broker->broker_count; id++) {
        if (only != 0 && id != only) continue;
        rd_kafka_resp_err_t err = change(broker, id, value);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) return rd_kafka_err2str(err);
    }
    return NULL;
}

static rd_kafka_resp_err_t set_up(struct broker *broker, int32_t id, int up)
{
    return up ? rd_kafka_mock_broker_set_up(broker->cluster, id)
              : rd_kafka_mock_broker_set_down(broker->cluster, id);
}

static rd_kafka_resp_err_t set_rtt(struct broker *broker, int32_t id, int rtt_ms)
{
    return rd_kafka_mock_broker_set_rtt(broker->cluster, id, rtt_ms);
}

static const char *do_down(struct broker *broker, int count, char **words)
{
    return for_brokers(broker, count, words, 1, set_up, 0);
}

static const char *do_up(struct broker *broker, int count, char **words)
{
    return for_brokers(broker, count, words, 1, set_up, 1);
}

static const char *do_rtt(struct broker *broker, int count, char **words)
{
    int rtt_ms;
    if (count < 2 || !read_number(words[1], 0, 60000, &rtt_ms)) return "how many milliseconds?";
    return for_brokers(broker, count, words, 2, set_rtt, rtt_ms);
}

static const struct {
    const char *name;
    const char *(*run)(struct broker *broker, int count, char **words);
} commands[] = {
    {"error", do_error},   {"clear", do_clear},   {"topic-error", do_topic_error},
    {"create", do_create}, {"leader", do_leader}, {"rtt", do_rtt},
    {"down", do_down},     {"up", do_up},
};

/* NULL when it was done, else what was wrong. */
static const char *run_command(struct broker *broker, char *line)
{
    char *words[WORDS_MAX];
    int count = 0;
    for (char *word = strtok(line, " \t\n"); word != NULL && count < WORDS_MAX; word = strtok(NULL, " \t\n"))
        words[count++] = word;
    if (count == 0) return "an empty line";
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, words[0]) == 0) return commands[i].run(broker, count, words);
    return "an unknown command";
}

/* ---- start and end ------------------------------------------------------------------------------------ */

static bool read_options(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i];
        const char *value = argv[i + 1];
        if (value == NULL) return false;
        if (strcmp(name, "--brokers") == 0) {
            if (!read_number(value, 1, 10, &options->broker_count)) return false;
        } else if (strcmp(name, "--partitions") == 0) {
            if (!read_number(value, 1, 1000, &options->partition_count)) return false;
        } else if (strcmp(name, "--address-file") == 0) {
            options->address_file = value;
        } else if (strcmp(name, "--topic") == 0 && options->topic_count < 64) {
            options->topics[options->topic_count++] = value;
        } else {
            return false;
        }
    }
    return true;
}

static bool start(const struct options *options, struct broker *ret_broker)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "log_level", "3", text, sizeof text) != RD_KAFKA_CONF_OK) return false;
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (client == NULL) {
        (void)fprintf(stderr, "devbroker: %s\n", text);
        return false;
    }
    ret_broker->client = client;
    ret_broker->broker_count = options->broker_count;
    ret_broker->cluster = rd_kafka_mock_cluster_new(client, options->broker_count);
    return ret_broker->cluster != NULL;
}

static bool make_topic(struct broker *broker, const struct options *options, const char *text)
{
    char name[256];
    int partition_count = options->partition_count;
    const char *colon = strrchr(text, ':');
    int size = colon == NULL ? (int)strlen(text) : (int)(colon - text);
    if (colon != NULL && !read_number(colon + 1, 1, 1000, &partition_count)) return false;
    if (size < 1 || (size_t)size >= sizeof name) return false;
    (void)snprintf(name, sizeof name, "%.*s", size, text);
    return rd_kafka_mock_topic_create(broker->cluster, name, partition_count, 1) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The file appears whole: written under another name first. */
static bool write_address(const char *path, const char *address)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) return false;
    FILE *file = fopen(temporary, "w");
    if (file == NULL) return false;
    bool written = fprintf(file, "%s\n", address) > 0;
    return fclose(file) == 0 && written && rename(temporary, path) == 0;
}

static void serve(struct broker *broker)
{
    char line[512];
    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *wrong = run_command(broker, line);
        if (wrong == NULL)
            (void)puts("ok");
        else
            (void)printf("error %s\n", wrong);
    }
}

int main(int argc, char **argv)
{
    struct options options = {.broker_count = 1, .partition_count = 4};
    struct broker broker;
    if (!read_options(argc, argv, &options)) {
        (void)fputs(usage, stderr);
        return 64;
    }
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) return 69;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!start(&options, &broker)) return 69;
    for (int i = 0; i < options.topic_count; i++) {
        if (make_topic(&broker, &options, options.topics[i])) continue;
        (void)fprintf(stderr, "devbroker: cannot make topic %s\n", options.topics[i]);
        return 64;
    }
    const char *address = rd_kafka_mock_cluster_bootstraps(broker.cluster);
    if (options.address_file != NULL && !write_address(options.address_file, address)) {
        (void)fprintf(stderr, "devbroker: cannot write %s: %s\n", options.address_file, strerror(errno));
        return 69;
    }
    (void)fprintf(stderr,
                  "devbroker: in-memory development broker, not Kafka: nothing is kept when it ends\n");
    (void)printf("%s\n", address);
    serve(&broker);
    _exit(0); /* nothing is worth waiting for */
}
