/* What trouble with brokers that librdkafka tells in words only means, and what to do. Needs no librdkafka.
 */
#ifndef WINNOW_KAFKA_TROUBLE_H
#define WINNOW_KAFKA_TROUBLE_H

/* What to check, as static text that begins with "; ", when the words tell that a broker and we do not accept
 * each other: no waiting mends that. NULL when it may pass. */
const char *kafka_trouble_advice(const char *text);

#endif
