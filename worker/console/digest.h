/* SHA-256 of a token, and a comparison whose time does not depend on what is compared. */
#ifndef WINNOW_DIGEST_H
#define WINNOW_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "slice.h"

#define DIGEST_SIZE 32

void digest_of(struct slice text, uint8_t ret_digest[DIGEST_SIZE]);
MUST_CHECK bool digest_equals(const uint8_t a[DIGEST_SIZE], const uint8_t b[DIGEST_SIZE]);

#endif
