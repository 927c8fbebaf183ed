/* What makes two events the same, and what makes a message recognizable (rules H-1, H-2). */
#ifndef WINNOW_IDENTITY_H
#define WINNOW_IDENTITY_H

#include <stdint.h>

#include "event.h"
#include "record.h"

#define IDENTITY_TEXT_SIZE 37 /* a UUID as text, with the terminating NUL */
#define FINGERPRINT_SIZE   16

/* Holds a digest context for reuse; one per thread. */
struct identity;

struct identity *identity_new(void);           /* owned by the caller; aborts without memory or SHA-256 */
void identity_free(struct identity *identity); /* takes NULL */

/* Fills event->hash from client_id, metric, amount and bucket_us:
 * SHA-256 over a fixed namespace UUID and then, each preceded by its length as four bytes big-endian,
 * client_id, metric, the canonical amount text, and bucket_us as eight bytes big-endian; the first 16
 * bytes of it with version 8 and the RFC 9562 variant set. */
void identity_hash(struct identity *identity, struct event *event);

/* A fingerprint of a message's timestamp, key and value, by which the tail check knows it again. */
void identity_fingerprint(struct identity *identity, int64_t timestamp_ms, struct slice key,
                          struct slice value, uint8_t ret_fingerprint[FINGERPRINT_SIZE]);

/* Lower-case text of a hash: 8-4-4-4-12. */
void identity_print(const uint8_t hash[EVENT_HASH_SIZE], char ret_text[IDENTITY_TEXT_SIZE]);

#endif
