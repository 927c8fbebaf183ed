/* The libraries that this process runs with, and what is known to be wrong with them. */
#ifndef WINNOW_LIBRARY_VERSIONS_H
#define WINNOW_LIBRARY_VERSIONS_H

#include <stddef.h>
#include <stdint.h>

#include "settings.h"

/* As the libraries number themselves, in hexadecimal digits or decimal ones: librdkafka 2.0.2 is 0x020002ff,
 * json-c 0.16 is 0x001000, libpq 15.4 is 150004. */
struct library_versions {
    uint32_t librdkafka;
    uint32_t json_c;
    uint32_t libpq;
};

/* Of the libraries that are loaded, not of those it was built with. */
struct library_versions library_versions_read(void);

/* "librdkafka 2.0.2, json-c 0.16, libpq 15.4". */
void library_versions_print(const struct library_versions *versions, char *ret_text, size_t size);

struct library_fault {
    const char *package; /* Debian's name of the library, where a newer one mends it; NULL: Debian has none */
    const char *text;    /* what is wrong, and the first version in which it is not */
    const char
        *mechanism; /* to log in by instead of the one that fails; NULL: it has nothing to do with that */
};

/* The first known fault that these versions have and that these settings run into or that winnow has to keep
 * off; NULL: none. One without a package is for information: whoever runs into it is refused by the brokers.
 */
const struct library_fault *library_fault_find(const struct library_versions *versions,
                                               const struct settings *settings);

#endif
