/* What a message of Kafka brought, as members of JSON (json.h). */
#ifndef WINNOW_MESSAGE_JSON_H
#define WINNOW_MESSAGE_JSON_H

#include "buffer.h"
#include "slice.h"

/* Bytes as text where they are UTF-8, else null. */
void json_message_text(struct buffer *out, const char *name, struct slice bytes);

/* "headers": [{"name":…,"value_text":…}] of headers as headers.h encodes them; data NULL: none. A name that
 * is not UTF-8 is shown with its bytes escaped. */
void json_message_headers(struct buffer *out, struct slice headers);

#endif
