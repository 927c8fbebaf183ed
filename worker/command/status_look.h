/* Looks at a group and a topic, once or again and again. */
#ifndef WINNOW_STATUS_LOOK_H
#define WINNOW_STATUS_LOOK_H

#include "attr.h"
#include "kafka_admin.h"
#include "kafka_reader.h"
#include "status_report.h"

struct look {
    const struct settings *settings;
    struct database *database;     /* NULL: it has to be opened */
    struct kafka_offsets *offsets; /* NULL: no brokers are configured */
    struct kafka_admin *admin;
    struct kafka_reader *reader;
    struct status_report report; /* of the last look that the database answered */
};

/* Settings are borrowed. Asks nobody yet. */
MUST_CHECK bool look_open(struct look *look, const struct settings *settings, struct fault *ret_fault);
void look_close(struct look *look);

/* Makes a new report, or leaves the one that is there when the database does not answer. STATUS_RETRY when it
 * cannot be reached, STATUS_STOP when schema or login are wrong. What the brokers do not tell within
 * timeout_ms is told by the report. */
MUST_CHECK bool look_take(struct look *look, int timeout_ms, struct fault *ret_fault);

#endif
