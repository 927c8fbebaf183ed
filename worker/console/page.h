/* The console's page inside the binary: what worker/console/web/embed.sh makes of the files that npm bundled.
 *
 * Each file is there once, gzipped; a client that takes no gzip gets it unpacked. In a build without
 * npm there is no file at all, and page_file_count is 0: the server then says how to build it. */
#ifndef WINNOW_PAGE_H
#define WINNOW_PAGE_H

#include <stddef.h>

struct page_file {
    const char *path;       /* of the request, such as "/app.js"; the page itself is "/" */
    const char *media_type; /* for Content-Type */
    const char *etag;       /* with its quotes; changes with the content and with nothing else */
    const unsigned char *gzip;
    size_t length; /* of gzip, in bytes */
};

/* In the order in which a browser asks for them. */
extern const struct page_file page_files[];
extern const size_t page_file_count;

#endif
