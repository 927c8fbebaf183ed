#include "mock.h"

#include <librdkafka/rdkafka.h>

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "headers.h"

#define TOPICS_MAX      20
#define READ_TIMEOUT_MS INT64_C(90000)

struct mock {
    pid_t pid;
    FILE *commands;
    FILE *answers;
    char address[256];
};

static void find_program(char ret_path[PATH_MAX + 32])
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0) abort();
    self[size] = '\0';
    for (int up = 0; up < 3; up++) *strrchr(self, '/') = '\0'; /* build/tests/broker/test_x */
    (void)snprintf(ret_path, PATH_MAX + 32, "%s/devbroker", self);
}

static void run_devbroker(int broker_count, const char *const *topics)
{
    char brokers[12];
    char path[PATH_MAX + 32];
    const char *arguments[2 * TOPICS_MAX + 4] = {"devbroker", "--brokers", brokers};
    size_t count = 3;
    (void)snprintf(brokers, sizeof brokers, "%d", broker_count);
    for (; *topics != NULL && count < 2 * TOPICS_MAX + 2; topics++) {
        arguments[count++] = "--topic";
        arguments[count++] = *topics;
    }
    find_program(path);
    (void)execv(path, (char *const *)(uintptr_t)arguments);
    perror(path);
    _exit(127);
}

struct mock *mock_start(const char *const *topics)
{
    return mock_start_cluster(1, topics);
}

struct mock *mock_start_cluster(int broker_count, const char *const *topics)
{
    int in[2];
    int out[2];
    struct mock *mock = calloc(1, sizeof *mock);
    if (mock == NULL || pipe(in) != 0 || pipe(out) != 0 || (mock->pid = fork()) < 0) abort();
    if (mock->pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        for (int i = 0; i < 2; i++) (void)(close(in[i]) + close(out[i]));
        run_devbroker(broker_count, topics);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    mock->commands = fdopen(in[1], "w");
    mock->answers = fdopen(out[0], "r");
    if (mock->commands == NULL || mock->answers == NULL) abort();
    if (fgets(mock->address, sizeof mock->address, mock->answers) == NULL) abort();
    mock->address[strcspn(mock->address, "\n")] = '\0';
    return mock;
}

void mock_stop(struct mock *mock)
{
    (void)fclose(mock->commands);
    (void)fclose(mock->answers);
    (void)waitpid(mock->pid, NULL, 0);
    free(mock);
}

const char *mock_address(const struct mock *mock)
{
    return mock->address;
}

void mock_command(struct mock *mock, const char *format, ...)
{
    char answer[256] = "";
    va_list values;
    va_start(values, format);
    (void)vfprintf(mock->commands, format, values);
    va_end(values);
    (void)fputc('\n', mock->commands);
    (void)fflush(mock->commands);
    if (fgets(answer, sizeof answer, mock->answers) != NULL && strcmp(answer, "ok\n") == 0) return;
    (void)fprintf(stderr, "devbroker answered %s to %s\n", answer, format);
    abort();
}

/* ---- reading a topic ---------------------------------------------------------------------------------- */

static rd_kafka_t *make_reader(const char *address)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", address, text, sizeof text) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "group.id", "reader", text, sizeof text) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "enable.auto.commit", "false", text, sizeof text) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof text) != RD_KAFKA_CONF_OK)
        abort();
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (reader == NULL) abort();
    (void)rd_kafka_poll_set_consumer(reader);
    return reader;
}

static void keep(struct topic *topic, const rd_kafka_message_t *found)
{
    if (topic->count == ARRAY_COUNT(topic->messages)) abort();
    struct message *message = &topic->messages[topic->count++];
    rd_kafka_timestamp_type_t type;
    *message = (struct message){.partition = found->partition, .offset = found->offset};
    message->timestamp_ms = rd_kafka_message_timestamp(found, &type);
    message->has_key = found->key != NULL;
    message->has_value = found->payload != NULL;
    message->key_size = found->key_len;
    message->value_size = found->len;
    message->key = buffer_add(&topic->bytes, found->key, found->key_len);
    message->value = buffer_add(&topic->bytes, found->payload, found->len);
    message->headers = topic->bytes.size;
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(found, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (size_t i = 0;
             rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            headers_add(&topic->bytes, slice_of_text(name), slice_of(value, size));
    message->headers_size = topic->bytes.size - message->headers;
}

void topic_read(const char *address, const char *name, int32_t partition_count, struct topic *ret_topic)
{
    rd_kafka_t *reader = make_reader(address);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partition_count);
    for (int32_t i = 0; i < partition_count; i++)
        rd_kafka_topic_partition_list_add(list, name, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    if (rd_kafka_assign(reader, list) != RD_KAFKA_RESP_ERR_NO_ERROR) abort();
    int64_t deadline_ms = clock_now_ms() + READ_TIMEOUT_MS;
    int32_t ended = 0;
    ret_topic->count = 0;
    buffer_clear(&ret_topic->bytes);
    while (ended < partition_count && clock_now_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 100);
        if (message == NULL) continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) keep(ret_topic, message);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ended++;
        rd_kafka_message_destroy(message);
    }
    if (ended < partition_count) (void)fprintf(stderr, "topic %s: %d partitions ended\n", name, ended);
    rd_kafka_topic_partition_list_destroy(list);
    (void)rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
}

void topic_done(struct topic *topic)
{
    buffer_done(&topic->bytes);
    topic->count = 0;
}

static struct slice part_of(const struct topic *topic, bool present, size_t begin, size_t size)
{
    if (!present) return slice_of(NULL, 0);
    return size == 0 ? slice_of("", 0) : slice_of(topic->bytes.data + begin, size);
}

struct slice topic_key(const struct topic *topic, size_t message)
{
    const struct message *m = &topic->messages[message];
    return part_of(topic, m->has_key, m->key, m->key_size);
}

struct slice topic_value(const struct topic *topic, size_t message)
{
    const struct message *m = &topic->messages[message];
    return part_of(topic, m->has_value, m->value, m->value_size);
}

struct slice topic_header(const struct topic *topic, size_t message, const char *wanted)
{
    const struct message *m = &topic->messages[message];
    struct slice rest = part_of(topic, true, m->headers, m->headers_size);
    struct slice found = slice_of(NULL, 0);
    struct slice name;
    struct slice value;
    while (headers_next(&rest, &name, &value))
        if (slice_equals(name, slice_of_text(wanted))) found = value;
    return found;
}

bool wait_until(bool (*condition)(void *context), void *context, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    while (!condition(context)) {
        if (clock_now_ms() >= deadline_ms) return false;
        (void)poll(NULL, 0, 20);
    }
    return true;
}
