#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 200
#define REPEATED_WITHIN \
    4096 /* messages of a partition: how far behind its first sending an event comes again */
#define REPEATED_MILLE 50
#define POISON_MILLE   10
#define RESENT_BLOCK   1000
#define AMOUNT_PRIME   UINT64_C(1000000007)   /* amounts are all different up to so many events */
#define LIVE_BEGIN_MS  INT64_C(1718447400000) /* 2024-06-15T10:30:00Z */
#define YEAR_BEGIN_MS  INT64_C(1704067200000) /* 2024-01-01 */
#define YEAR_MS        (INT64_C(365) * 86400000)
#define JITTER_MS      60000

static const char *const metrics[] = {"sale",   "purchase", "refund", "page_view",
                                      "signup", "login",    "click",  "transfer"};

/* What a message is made from. */
struct content {
    unsigned client;
    const char *metric;
    uint64_t cents;
    int64_t time_ms;
    uint64_t noise;
};

/* Independent numbers for each (seed, number, purpose): the finalizer of splitmix64. */
enum purpose { OF_KIND = 1, OF_TARGET, OF_CLIENT, OF_TIME, OF_SHAPE, OF_NOISE };

static uint64_t draw(const struct workload *workload, uint64_t number, enum purpose purpose)
{
    uint64_t x = workload->seed * UINT64_C(0x9e3779b97f4a7c15) + number * 8 + purpose;
    for (int round = 0; round < 2; round++) {
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        x ^= x >> 31;
    }
    return x;
}

bool workload_parse(const char *name, struct workload *ret_workload)
{
    static const char *const names[] = {"live", "backfill", "resend", "loose"};
    size_t size = strcspn(name, "-");
    bool scattered = strcmp(name + size, "-scattered") == 0;
    if (!scattered && name[size] != '\0') return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) != size || strncmp(name, names[i], size) != 0) continue;
        *ret_workload = (struct workload){.kind = (enum workload_kind)i, .scattered = scattered};
        return true;
    }
    return false;
}

static enum message_kind resent_kind(const struct workload *workload, uint64_t number)
{
    return number / workload->partitions / RESENT_BLOCK % 2 == 0 ? MESSAGE_NEW : MESSAGE_REPEATED;
}

/* Of the drawn sort, before looking whether there is an earlier event to repeat. */
static enum message_kind drawn_kind(const struct workload *workload, uint64_t number)
{
    uint64_t mille = draw(workload, number, OF_KIND) % 1000;
    if (mille < REPEATED_MILLE) return MESSAGE_REPEATED;
    if (workload->kind == WORKLOAD_LOOSE && mille < REPEATED_MILLE + POISON_MILLE) return MESSAGE_POISON;
    return MESSAGE_NEW;
}

/* The event that message `number` carries again: the nearest new one at or before a drawn place. False at the
 * very beginning of the stream, where there is none. */
static bool find_target(const struct workload *workload, uint64_t number, uint64_t *ret_target)
{
    uint64_t step = workload->scattered ? 1 : workload->partitions;
    uint64_t within = workload->scattered ? REPEATED_WITHIN * workload->partitions : REPEATED_WITHIN;
    uint64_t back = (1 + draw(workload, number, OF_TARGET) % within) * step;
    while (back <= number) {
        if (drawn_kind(workload, number - back) == MESSAGE_NEW) {
            *ret_target = number - back;
            return true;
        }
        back += step;
    }
    return false;
}

enum message_kind workload_kind_of(const struct workload *workload, uint64_t number)
{
    if (workload->kind == WORKLOAD_RESEND) return resent_kind(workload, number);
    enum message_kind kind = drawn_kind(workload, number);
    uint64_t target;
    return kind == MESSAGE_REPEATED && !find_target(workload, number, &target) ? MESSAGE_NEW : kind;
}

static uint64_t event_of(const struct workload *workload, uint64_t number)
{
    uint64_t target = number;
    if (workload->kind == WORKLOAD_RESEND)
        return resent_kind(workload, number) == MESSAGE_NEW ? number
                                                            : number - RESENT_BLOCK * workload->partitions;
    if (drawn_kind(workload, number) == MESSAGE_REPEATED) (void)find_target(workload, number, &target);
    return target;
}

static struct content make_content(const struct workload *workload, uint64_t event)
{
    uint64_t client = draw(workload, event, OF_CLIENT);
    uint64_t moment = draw(workload, event, OF_TIME);
    double u = (double)(client >> 11) / (double)(UINT64_C(1) << 53);
    bool spread = workload->kind == WORKLOAD_BACKFILL;
    return (struct content){
        .client = (unsigned)(CLIENTS * u * u * u), /* the busiest sends one event in six */
        .metric = metrics[client % (sizeof metrics / sizeof *metrics)],
        .cents = 100 + (event * 7919 + workload->seed) % AMOUNT_PRIME,
        .time_ms = spread ? YEAR_BEGIN_MS + (int64_t)(moment % YEAR_MS)
                          : LIVE_BEGIN_MS + (int64_t)event + (int64_t)(moment % JITTER_MS) - JITTER_MS / 2,
        .noise = draw(workload, event, OF_NOISE),
    };
}

/* ---- as text ------------------------------------------------------------------------------------------ */

struct date {
    unsigned year, month, day, hour, minute, second, millisecond;
};

static struct date date_of(int64_t time_ms)
{
    /* Days of the civil calendar, counted from 0000-03-01. */
    int64_t z = time_ms / 86400000 + 719468;
    int64_t era = z / 146097;
    unsigned of_era = (unsigned)(z - era * 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned shifted = (5 * of_year + 2) / 153;
    unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
    unsigned of_day = (unsigned)(time_ms % 86400000);
    return (struct date){.year = year + (unsigned)era * 400 + (month <= 2),
                         .month = month,
                         .day = of_year - (153 * shifted + 2) / 5 + 1,
                         .hour = of_day / 3600000,
                         .minute = of_day / 60000 % 60,
                         .second = of_day / 1000 % 60,
                         .millisecond = of_day % 1000};
}

static int write_plain(char *text, const struct content *c)
{
    struct date d = date_of(c->time_ms);
    return snprintf(text, WORKLOAD_MESSAGE_SIZE,
                    "{\"source\":\"client_%03u\",\"payload\":{\"metric\":\"%s\",\"amount\":\"%" PRIu64
                    ".%02u\","
                    "\"timestamp\":\"%04u-%02u-%02uT%02u:%02u:%02u.%03uZ\"},\"trace\":\"%016" PRIx64 "\"}",
                    c->client, c->metric, c->cents / 100, (unsigned)(c->cents % 100), d.year, d.month, d.day,
                    d.hour, d.minute, d.second, d.millisecond, c->noise);
}

/* With a comma between groups of three digits: "1,234,567". */
static void write_grouped(char ret_text[32], uint64_t whole)
{
    unsigned millions = (unsigned)(whole / 1000000), thousands = (unsigned)(whole / 1000 % 1000);
    unsigned ones = (unsigned)(whole % 1000);
    if (millions > 0) {
        (void)snprintf(ret_text, 32, "%u,%03u,%03u", millions, thousands, ones);
    } else if (thousands > 0) {
        (void)snprintf(ret_text, 32, "%u,%03u", thousands, ones);
    } else {
        (void)snprintf(ret_text, 32, "%u", ones);
    }
}

static int write_shape(char *text, const struct content *c, unsigned shape)
{
    struct date d = date_of(c->time_ms);
    uint64_t whole = c->cents / 100;
    unsigned rest = (unsigned)(c->cents % 100);
    const size_t size = WORKLOAD_MESSAGE_SIZE;
    char grouped[32];
    switch (shape) {
    case 0:
        return snprintf(
            text, size,
            "{\"source\":\"client_%03u\",\"payload\":{\"metric\":\"%s\",\"amount\":\"%" PRIu64
            ".%02u\",\"timestamp\":\"%04u/%02u/%02u\"},\"version\":[1,4,%u],\"trace\":\"%016" PRIx64 "\"}",
            c->client, c->metric, whole, rest, d.year, d.month, d.day, shape, c->noise);
    case 1:
        return snprintf(text, size,
                        "{\"client\":\"client_%03u\",\"payload\":{\"type\":\"%s\",\"value\":%" PRIu64
                        ".%02u,\"time\":\"%04u-%02u-%02u\",\"tags\":{\"region\":\"eu\",\"id\":%" PRIu64 "}}}",
                        c->client, c->metric, whole, rest, d.year, d.month, d.day, c->noise >> 12);
    case 2:
        return snprintf(text, size,
                        "{ \"source\" : \"client_%03u\", \"payload\" : { \"metricName\" : \"%s\", "
                        "\"sum\" : \" %" PRIu64
                        ".%02u \", \"created_at\" : \"%u/%u/%u\", \"note\" : null } }",
                        c->client, c->metric, whole, rest, d.year, d.month, d.day);
    case 3:
        write_grouped(grouped, whole);
        return snprintf(
            text, size,
            "{\"Client-Id\":\"client_%03u\",\"METRIC\":\"%s\",\"amount\":\"%s.%02u\",\"timestamp\":%" PRId64
            ",\"trace\":\"%016" PRIx64 "\",\"ok\":true}",
            c->client, c->metric, grouped, rest, c->time_ms, c->noise);
    case 4:
        return snprintf(text, size,
                        "{\"client_id\":\" client_%03u \",\"payload\":\"{\\\"metric_name\\\":\\\"%s\\\","
                        "\\\"value\\\":\\\"+%" PRIu64
                        ".%02u0\\\",\\\"time\\\":\\\"%04u-%02u-%02uT%02u:%02u:%02uZ\\\"}\"}",
                        c->client, c->metric, whole, rest, d.year, d.month, d.day, d.hour, d.minute,
                        d.second);
    default:
        return snprintf(
            text, size,
            "{\"source\":\"client_%03u\",\"data\":{\"type\":\"%s\",\"sum\":\"%" PRIu64
            "e-2\",\"created_at\":\"%04u-%02u-%02uT%02u:%02u:%02u.%03u+00:00\"},\"m\":\"caf\\u00e9 %" PRIx64
            "\"}",
            c->client, c->metric, c->cents, d.year, d.month, d.day, d.hour, d.minute, d.second, d.millisecond,
            c->noise);
    }
}

static int write_poison(char *text, const struct content *c)
{
    const size_t size = WORKLOAD_MESSAGE_SIZE;
    switch (c->noise % 5) {
    case 0:
        return snprintf(text, size, "{\"source\":\"client_%03u\",\"payload\":{\"metric\":\"sale\",\"amo",
                        c->client);
    case 1:
        return snprintf(text, size, "{\"payload\":{\"metric\":\"sale\",\"amount\":%" PRIu64 "}}", c->cents);
    case 2:
        return snprintf(text, size, "{\"client\":\"client_%03u\",\"metric\":\"sale\",\"amount\":\"twelve\"}",
                        c->client);
    case 3:
        return snprintf(text, size,
                        "{\"client\":\"client_%03u\",\"metric\":\"sale\",\"time\":\"2024-02-30\"}",
                        c->client);
    default:
        return snprintf(text, size, "{\"client\":\"client_%03u\",\"metric\":\"caf\xe9\"}", c->client);
    }
}

size_t workload_write(const struct workload *workload, uint64_t number,
                      char ret_message[WORKLOAD_MESSAGE_SIZE])
{
    bool loose = workload->kind == WORKLOAD_LOOSE;
    struct content content = make_content(workload, event_of(workload, number));
    int size;
    if (loose && workload_kind_of(workload, number) == MESSAGE_POISON) {
        size = write_poison(ret_message, &content);
    } else if (loose) {
        size = write_shape(ret_message, &content, (unsigned)(draw(workload, number, OF_SHAPE) % 6));
    } else {
        size = write_plain(ret_message, &content);
    }
    if (size < 0 || size >= WORKLOAD_MESSAGE_SIZE) abort();
    return (size_t)size;
}
