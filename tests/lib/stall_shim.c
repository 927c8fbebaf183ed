/* Preloaded into a worker: while the file $STALL_FILE is there, nothing comes of partition $STALL_PARTITION,
 * neither messages nor its end, as when the library has stopped fetching it. */
#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <unistd.h>

typedef rd_kafka_message_t *(*consumer_poll)(rd_kafka_t *client, int timeout_ms);

static int is_held_back(const rd_kafka_message_t *message)
{
    const char *path = getenv("STALL_FILE");
    const char *partition = getenv("STALL_PARTITION");
    if (path == NULL || partition == NULL || message == NULL) return 0;
    return message->partition == atoi(partition) && access(path, F_OK) == 0;
}

rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *client, int timeout_ms)
{
    static consumer_poll real;
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_consumer_poll");
    if (real == NULL) abort();
    for (;;) {
        rd_kafka_message_t *message = real(client, timeout_ms);
        if (!is_held_back(message)) return message;
        rd_kafka_message_destroy(message);
    }
}
