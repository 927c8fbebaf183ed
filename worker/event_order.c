/* Hashes are random in every bit, so a few of their bits tell nearly all events apart: keys are dealt out by
 * one digit after the other, from the last to the first, each time in the order they have already. That
 * compares nothing, where sorting by comparison takes a wrong turn at every other comparison. What is then
 * still equal, copies of one event and what chance or malice made, is sorted by comparison. */
#include "event_order.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DIGIT_BITS  11
#define DIGIT_COUNT (1U << DIGIT_BITS)
#define HASH_DIGITS 2
#define HASH_SHIFT  (64 - HASH_DIGITS * DIGIT_BITS)
#define DEALT_MIN   256 /* below it dealing costs more than comparing */

void event_order_done(struct event_order *order)
{
    free(order->keys);
    free(order->spare);
    *order = (struct event_order){0};
}

struct sort_key *event_order_reserve(struct event_order *order, size_t count)
{
    if (order->capacity >= count) return order->keys;
    event_order_done(order);
    order->keys = malloc(count * sizeof(*order->keys));
    order->spare = malloc(count * sizeof(*order->spare));
    if (order->keys == NULL || order->spare == NULL) abort();
    order->capacity = count;
    return order->keys;
}

static int compare_keys(const void *a, const void *b)
{
    const struct sort_key *left = a;
    const struct sort_key *right = b;
    if (left->bucket_us != right->bucket_us) return left->bucket_us < right->bucket_us ? -1 : 1;
    if (left->hash_high != right->hash_high) return left->hash_high < right->hash_high ? -1 : 1;
    if (left->hash_low != right->hash_low) return left->hash_low < right->hash_low ? -1 : 1;
    return (left->row > right->row) - (left->row < right->row);
}

static size_t digit_of(const struct sort_key *key, bool of_hash, unsigned shift)
{
    uint64_t word = of_hash ? key->hash_high : (uint64_t)key->bucket_us;
    return (size_t)(word >> shift) % DIGIT_COUNT;
}

static void deal(struct event_order *order, size_t count, bool of_hash, unsigned shift)
{
    uint32_t begins[DIGIT_COUNT] = {0};
    for (size_t i = 0; i < count; i++) begins[digit_of(&order->keys[i], of_hash, shift)]++;
    uint32_t begin = 0;
    for (size_t digit = 0; digit < DIGIT_COUNT; digit++) {
        uint32_t next = begin + begins[digit];
        begins[digit] = begin;
        begin = next;
    }
    for (size_t i = 0; i < count; i++)
        order->spare[begins[digit_of(&order->keys[i], of_hash, shift)]++] = order->keys[i];
    struct sort_key *dealt = order->spare;
    order->spare = order->keys;
    order->keys = dealt;
}

/* Digits of the bucket that are the same in all keys need no dealing: mostly there is but one bucket. */
static void deal_buckets(struct event_order *order, size_t count)
{
    uint64_t differing = 0;
    for (size_t i = 1; i < count; i++)
        differing |= (uint64_t)(order->keys[i].bucket_us ^ order->keys[0].bucket_us);
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
        if ((differing >> shift) % DIGIT_COUNT != 0) deal(order, count, false, shift);
    }
}

static bool are_told_apart(const struct sort_key *left, const struct sort_key *right)
{
    return left->bucket_us != right->bucket_us ||
           left->hash_high >> HASH_SHIFT != right->hash_high >> HASH_SHIFT;
}

static void sort_equals(struct sort_key *keys, size_t count)
{
    size_t begin = 0;
    for (size_t i = 1; i <= count; i++) {
        if (i < count && !are_told_apart(&keys[i - 1], &keys[i])) continue;
        if (i - begin > 1) qsort(&keys[begin], i - begin, sizeof(*keys), compare_keys);
        begin = i;
    }
}

const struct sort_key *event_order_sort(struct event_order *order, size_t count)
{
    if (count < DEALT_MIN) {
        if (count > 1) qsort(order->keys, count, sizeof(*order->keys), compare_keys);
        return order->keys;
    }
    for (unsigned digit = 0; digit < HASH_DIGITS; digit++)
        deal(order, count, true, HASH_SHIFT + digit * DIGIT_BITS);
    deal_buckets(order, count);
    sort_equals(order->keys, count);
    return order->keys;
}
