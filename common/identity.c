/* The only place that knows libcrypto and libuuid. */
#include "identity.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#define SHA256_SIZE  32
#define SIZE_OF_NULL UINT32_C(0xffffffff)

/* 5c0f7d3e-9b1a-4c62-8e47-d2a6f1b39c85. Never change it: every stored hash depends on it (H-1). */
static const unsigned char name_space[16] = {0x5c, 0x0f, 0x7d, 0x3e, 0x9b, 0x1a, 0x4c, 0x62,
                                             0x8e, 0x47, 0xd2, 0xa6, 0xf1, 0xb3, 0x9c, 0x85};

struct identity {
    EVP_MD *sha256; /* fetched once: a fetch costs more than a digest */
    EVP_MD_CTX *context;
};

struct identity *identity_new(void)
{
    struct identity *identity = malloc(sizeof *identity);
    if (identity == NULL) abort();
    identity->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    identity->context = EVP_MD_CTX_new();
    if (identity->sha256 == NULL || identity->context == NULL) abort();
    return identity;
}

void identity_free(struct identity *identity)
{
    if (identity == NULL) return;
    EVP_MD_CTX_free(identity->context);
    EVP_MD_free(identity->sha256);
    free(identity);
}

static void begin(struct identity *identity)
{
    if (EVP_DigestInit_ex2(identity->context, identity->sha256, NULL) != 1) abort();
}

static void update(struct identity *identity, const void *data, size_t size)
{
    if (EVP_DigestUpdate(identity->context, data, size) != 1) abort();
}

static void finish(struct identity *identity, unsigned char ret_digest[SHA256_SIZE])
{
    if (EVP_DigestFinal_ex(identity->context, ret_digest, NULL) != 1) abort();
}

static unsigned char *put_integer(unsigned char *to, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) to[size - 1 - i] = (unsigned char)(value >> (8 * i));
    return to + size;
}

/* Each part behind its length: "ab" + "c" and "a" + "bc" must not be the same event. */
static unsigned char *put_part(unsigned char *to, const void *data, size_t size)
{
    to = put_integer(to, size, 4);
    memcpy(to, data, size);
    return to + size;
}

void identity_hash(struct identity *identity, struct event *event)
{
    unsigned char input[sizeof name_space + 4 * 4 + 2 * EVENT_TEXT_BYTES_MAX + DECIMAL_TEXT_SIZE + 8];
    unsigned char bucket[8];
    char amount[DECIMAL_TEXT_SIZE];
    unsigned char digest[SHA256_SIZE];
    if (event->client_id.size > EVENT_TEXT_BYTES_MAX || event->metric.size > EVENT_TEXT_BYTES_MAX) abort();
    memcpy(input, name_space, sizeof name_space);
    (void)put_integer(bucket, (uint64_t)event->bucket_us, sizeof bucket);

    unsigned char *to = input + sizeof name_space;
    to = put_part(to, event->client_id.data, event->client_id.size);
    to = put_part(to, event->metric.data, event->metric.size);
    to = put_part(to, amount, decimal_print(&event->amount, amount));
    to = put_part(to, bucket, sizeof bucket);

    begin(identity);
    update(identity, input, (size_t)(to - input));
    finish(identity, digest);
    memcpy(event->hash, digest, EVENT_HASH_SIZE);
    event->hash[6] = (uint8_t)((event->hash[6] & 0x0F) | 0x80); /* RFC 9562 section 5.8: version 8 */
    event->hash[8] = (uint8_t)((event->hash[8] & 0x3F) | 0x80); /* section 4.1: variant 10 */
}

/* NULL and empty are different messages. */
static void update_part(struct identity *identity, struct slice part)
{
    unsigned char size[4];
    (void)put_integer(size, part.data == NULL ? SIZE_OF_NULL : part.size, sizeof size);
    update(identity, size, sizeof size);
    if (part.size > 0) update(identity, part.data, part.size);
}

void identity_fingerprint(struct identity *identity, int64_t timestamp_ms, struct slice key,
                          struct slice value, uint8_t ret_fingerprint[FINGERPRINT_SIZE])
{
    unsigned char timestamp[8];
    unsigned char digest[SHA256_SIZE];
    (void)put_integer(timestamp, (uint64_t)timestamp_ms, sizeof timestamp);
    begin(identity);
    update(identity, name_space, sizeof name_space);
    update(identity, timestamp, sizeof timestamp);
    update_part(identity, key);
    update_part(identity, value);
    finish(identity, digest);
    memcpy(ret_fingerprint, digest, FINGERPRINT_SIZE);
}

void identity_print(const uint8_t hash[EVENT_HASH_SIZE], char ret_text[IDENTITY_TEXT_SIZE])
{
    uuid_unparse_lower(hash, ret_text);
}
