/* What trouble with brokers that librdkafka tells in words only means, and what to do. Needs no librdkafka.
 */
#ifndef WINNOW_KAFKA_TROUBLE_H
#define WINNOW_KAFKA_TROUBLE_H

#include <stddef.h>

/* What to check, as static text that begins with "; ", when the words tell that a broker and we do not accept
 * each other: no waiting mends that. NULL when it may pass. */
const char *kafka_trouble_advice(const char *text);

/* How many bytes of a line of librdkafka's log are for people: without what it counts for itself at the end,
 * "(after 0ms in state CONNECT, 30 identical error(s) suppressed)". */
size_t kafka_trouble_size(const char *text);

#endif
