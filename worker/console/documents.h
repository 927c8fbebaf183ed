/* The contract and its reference page inside the binary: what embed.sh makes of openapi.json and docs.*. */
#ifndef WINNOW_DOCUMENTS_H
#define WINNOW_DOCUMENTS_H

#include "console/page.h"

extern const struct page_file document_files[];
extern const size_t document_files_count;

#endif
