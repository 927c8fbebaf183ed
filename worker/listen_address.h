/* Where a server listens. */
#ifndef WINNOW_LISTEN_ADDRESS_H
#define WINNOW_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"

/* From "127.0.0.1:8077", "[::1]:8077", "0.0.0.0:8077". */
struct listen_address {
    char host[64]; /* without brackets */
    uint16_t port; /* 0: any free one */
    bool loopback;
};

/* False when the text is none. */
MUST_CHECK bool listen_address_read(const char *text, struct listen_address *ret_address);

/* A socket that listens there and does not block, with room for so many who wait; -1 with errno. The caller
 * closes it. libmicrohttpd would only say that it failed, not why. */
MUST_CHECK int listen_address_open(const struct listen_address *address, int backlog);

#endif
