#include "console/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

void digest_of(struct slice text, uint8_t ret_digest[DIGEST_SIZE])
{
    (void)SHA256((const unsigned char *)text.data, text.size, ret_digest);
}

bool digest_equals(const uint8_t a[DIGEST_SIZE], const uint8_t b[DIGEST_SIZE])
{
    return CRYPTO_memcmp(a, b, DIGEST_SIZE) == 0;
}
