/* The files that the console serves out of the binary, as worker/console/embed.sh puts them there. Each is
 * there once, gzipped; a client that takes no gzip gets it unpacked. */
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

/* The page, as npm bundled it, in the order in which a browser asks for it. In a build without npm there is
 * no file at all, and page_files_count is 0: the server then says how to build it. */
extern const struct page_file page_files[];
extern const size_t page_files_count;

/* The contract of the API and its reference: openapi.json and docs.*. */
extern const struct page_file document_files[];
extern const size_t document_files_count;

#endif
