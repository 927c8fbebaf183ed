/* Messages as Kafka has them, read one at a time. */
#ifndef WINNOW_RAW_H
#define WINNOW_RAW_H

#include "settings.h"

struct raw;

struct raw *raw_new(const struct settings *settings); /* borrowed */
void raw_free(struct raw *raw);                       /* takes NULL */

#endif
