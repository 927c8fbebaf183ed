/* The benchmark's streams of messages. Each message is a function of (workload, seed, partitions, number), so
 * that any part of a stream can be made anywhere, in any order, and its account is known without reading it.
 */
#ifndef WINNOW_WORKLOAD_H
#define WINNOW_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKLOAD_MESSAGE_SIZE 1024 /* no message is longer */

enum workload_kind {
    WORKLOAD_LIVE,     /* event time goes with the stream, give or take half a minute; 5 % sent again */
    WORKLOAD_BACKFILL, /* the same, times spread over a year */
    WORKLOAD_RESEND,   /* each thousand messages of a partition sent twice */
    WORKLOAD_LOOSE,    /* six shapes, payloads in strings, strings for numbers, 1 % poison; 5 % sent again */
};

enum message_kind { MESSAGE_NEW, MESSAGE_REPEATED, MESSAGE_POISON };

struct workload {
    enum workload_kind kind;
    uint64_t seed;
    uint64_t partitions; /* message n belongs to partition n % partitions, at offset n / partitions */
    bool scattered;      /* an event is sent again to any partition, not to its own */
};

/* "live", "backfill", "resend", "loose", each also with "-scattered" behind it. */
bool workload_parse(const char *name, struct workload *ret_workload);

/* Whether the message is the first of its event, sent again, or no event. */
enum message_kind workload_kind_of(const struct workload *workload, uint64_t number);

/* Writes the message without a NUL behind it; returns its size. */
size_t workload_write(const struct workload *workload, uint64_t number,
                      char ret_message[WORKLOAD_MESSAGE_SIZE]);

#endif
