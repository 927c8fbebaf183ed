/* The closed list of reasons for which a message becomes a dead letter, each with its rule.
 *
 * C, SQL (the CHECK of winnow.dead_letter) and the documentation take them from this list; a test
 * compares. Never renumber or rename: reasons stand in stored rows. */
#ifndef WINNOW_REJECT_H
#define WINNOW_REJECT_H

#include "attr.h"
#include "slice.h"

/* X(symbol, name, sentence for a person) */
/* clang-format off */
#define REJECT_REASONS(X)                                                                                \
    X(REJECT_EMPTY, "empty", "the message has no value")                                                 \
    X(REJECT_TOO_LARGE, "too_large", "the message is longer than the limit")                             \
    X(REJECT_INVALID_JSON, "invalid_json", "the message is not JSON as RFC 8259 defines it")             \
    X(REJECT_INVALID_UTF8, "invalid_utf8", "the message is not well-formed UTF-8")                       \
    X(REJECT_NUL_CHARACTER, "nul_character", "a field holds U+0000, which the database cannot store")    \
    X(REJECT_TOO_DEEP, "too_deep", "the JSON is nested deeper than 32 levels")                           \
    X(REJECT_NOT_AN_OBJECT, "not_an_object", "the JSON is not an object")                                \
    X(REJECT_UNSUPPORTED_FRAMING, "unsupported_framing", "the value is framed in a way winnow cannot read") \
    X(REJECT_CLIENT_ID_MISSING, "client_id_missing", "no field tells who sent the event")                \
    X(REJECT_CLIENT_ID_INVALID, "client_id_invalid", "the client id cannot be used")                     \
    X(REJECT_METRIC_MISSING, "metric_missing", "no field tells what was measured")                       \
    X(REJECT_METRIC_INVALID, "metric_invalid", "the metric cannot be used")                              \
    X(REJECT_AMOUNT_INVALID, "amount_invalid", "the amount is not a number")                             \
    X(REJECT_AMOUNT_OUT_OF_RANGE, "amount_out_of_range", "the amount cannot be kept exactly")            \
    X(REJECT_TIMESTAMP_INVALID, "timestamp_invalid", "the timestamp is not a date winnow can read")      \
    X(REJECT_TIMESTAMP_OUT_OF_RANGE, "timestamp_out_of_range", "the timestamp is before 1970 or after 2199") \
    X(REJECT_IDEMPOTENCY_KEY_INVALID, "idempotency_key_invalid", "the idempotency key cannot be used")   \
    X(REJECT_DATABASE_REJECTED, "database_rejected", "the database refused the event")                   \
    X(REJECT_CRASHED_WORKER, "crashed_worker", "a worker died three times while it read the message")
/* clang-format on */

enum reject_reason {
#define REJECT_SYMBOL(symbol, name, sentence) symbol,
    REJECT_REASONS(REJECT_SYMBOL)
#undef REJECT_SYMBOL
        REJECT_REASON_COUNT
};

#define REJECT_FOUND_BYTES_MAX 80  /* of what was found, before escaping */
#define REJECT_DETAIL_SIZE     640 /* bytes, with the terminating NUL */

struct reject {
    enum reject_reason reason;
    char detail[REJECT_DETAIL_SIZE]; /* one line of valid UTF-8 without control characters */
};

/* "empty", "too_large", ... as stored in the database. */
const char *reject_name(enum reject_reason reason);

/* A sentence for a person, without the particulars. */
const char *reject_sentence(enum reject_reason reason);

/* Fills *reject with "<rule>: <field>: found <found>, expected <expected>". `found` is cut to 80 bytes at a
 * character border, with "..." behind it then; control characters and bytes that are not UTF-8 are escaped
 * (\n, \x1b); its data may be NULL, then "found" is left out. `rule` and `expected` are trusted text, `field`
 * too: they are not escaped. All are copied. */
void reject_set(struct reject *reject, enum reject_reason reason, const char *rule, const char *field,
                struct slice found, const char *expected);

/* Writes `text` to `out` (of out_size bytes, always terminated), escaped as above, and stops before the
 * first character that no longer fits. Returns the length without the terminating NUL. */
size_t reject_escape(struct slice text, char *out, size_t out_size);

#endif
