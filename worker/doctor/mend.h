/* Commands that mend what a check has found: whole lines for a POSIX shell, with everything in them that can
 * be known, and no secret. */
#ifndef WINNOW_MEND_H
#define WINNOW_MEND_H

#include "attr.h"
#include "doctor/examination.h"

/* The text as one word of a shell. */
void mend_quote(const char *text, char *ret_word, size_t size);

/* "kafka-topics.sh --bootstrap-server B --create …". The tools need the login of one who may, when the
 * brokers ask for one: they get it from admin.properties in the working directory. */
void mend_kafka(const struct examination *examination, struct finding *finding, const char *tool,
                const char *format, ...) PRINTF_LIKE(4, 5);

/* psql -d '…' -c '…' as the user given (NULL: as the one of the settings), in the database given (NULL: the
 * same). */
void mend_psql(const struct examination *examination, struct finding *finding, const char *user,
               const char *database, const char *format, ...) PRINTF_LIKE(5, 6);

/* Any other command. */
void mend_run(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
