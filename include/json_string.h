/* Decoding of JSON strings that hold escapes. */
#ifndef WINNOW_JSON_STRING_H
#define WINNOW_JSON_STRING_H

#include "buffer.h"
#include "slice.h"

/* Holds a parser for reuse; one per thread. */
struct jsonstring;

struct jsonstring *jsonstring_new(void);             /* owned by the caller; aborts without memory */
void jsonstring_free(struct jsonstring *jsonstring); /* takes NULL */

/* Adds the characters that the string stands for to the buffer: never more bytes than the text has. U+0000
 * and surrogate pairs come out right, a lone surrogate as U+FFFD. `text` is what stands between the two
 * quotes of a string that jsontext_scan() has passed; the quotes must be there in memory. */
void jsonstring_decode(struct jsonstring *jsonstring, struct slice text, struct buffer *buffer);

#endif
