/* What winnow makes of messages, for a second implementation to compare with:
 *     answers EVENT_BYTES_MAX < requests
 * A request, in network byte order: the broker's timestamp (8 bytes), the client's zone offset (4), its date
 * order (1), its granularity (1), the value's size (4, 0xffffffff for a tombstone) and the value. An answer
 * is a line: <reason> <rule> <hash> <client_id in hex> <metric in hex> <amount> <timestamp> */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "decimal.h"
#include "identity.h"
#include "instant.h"
#include "normalize.h"

#define HEAD_SIZE    18
#define SIZE_OF_NULL UINT32_C(0xffffffff)

static uint64_t take(const unsigned char **at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value = value << 8 | *(*at)++;
    return value;
}

static void print_hex(struct slice text)
{
    (void)putchar(' ');
    for (size_t i = 0; i < text.size; i++) (void)printf("%02x", (unsigned char)text.data[i]);
}

static void print_event(const struct event *event)
{
    char hash[IDENTITY_TEXT_SIZE];
    char amount[DECIMAL_TEXT_SIZE];
    char time[INSTANT_TEXT_SIZE];
    identity_print(event->hash, hash);
    (void)decimal_print(&event->amount, amount);
    (void)instant_print(event->time_us, time);
    (void)fputs(hash, stdout);
    print_hex(event->client_id);
    print_hex(event->metric);
    (void)printf(" %s %s\n", amount, time);
}

static void answer(struct normalizer *normalizer, const struct record *record,
                   const struct client_rules *rules)
{
    struct event event;
    struct reject reject;
    if (normalize(normalizer, record, rules, &event, &reject) == STATUS_OK)
        print_event(&event);
    else
        (void)printf("%s %.*s\n", reject_name(reject.reason), (int)strcspn(reject.detail, ":"),
                     reject.detail);
}

/* False at the end. The value gets memory of exactly its size, so that a sanitizer sees reads behind it. */
static bool answer_next(struct normalizer *normalizer)
{
    unsigned char head[HEAD_SIZE];
    const unsigned char *at = head;
    if (fread(head, 1, sizeof head, stdin) != sizeof head) return false;
    struct record record = {.timestamp_ms = (int64_t)take(&at, 8)};
    struct client_rules rules = {.zone_offset_s = (int32_t)take(&at, 4)};
    rules.date_order = (enum date_order)take(&at, 1);
    rules.granularity = (enum granularity)take(&at, 1);
    size_t size = take(&at, 4);
    char *value = NULL;
    if (size != SIZE_OF_NULL) {
        value = malloc(size > 0 ? size : 1);
        if (value == NULL || fread(value, 1, size, stdin) != size) abort();
        record.value = slice_of(value, size);
    }
    answer(normalizer, &record, &rules);
    free(value);
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 2) return EXIT_FAILURE;
    struct normalizer *normalizer = normalizer_new(strtoull(argv[1], NULL, 10));
    while (answer_next(normalizer)) {
    }
    normalizer_free(normalizer);
    return fflush(stdout) == 0 && ferror(stdin) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
