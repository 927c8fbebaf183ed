/* A write as the parameters of the APPLY statement (sink_statements.h): arrays in binary, events sorted by
 * key. */
#ifndef WINNOW_APPLY_PARAMETERS_H
#define WINNOW_APPLY_PARAMETERS_H

#include "array.h"
#include "database.h"
#include "event_order.h"
#include "machine.h"

#define APPLY_PARAMETER_COUNT 37

struct apply_parameters {
    bool may_simulate; /* rows whose message asks for it are made such that PostgreSQL refuses them */
    int16_t stream_id; /* in network byte order */
    struct array arrays[APPLY_PARAMETER_COUNT - 1];
    struct event_order order;
};

/* The statement's parameter types, for preparing it. */
extern const uint32_t apply_types[APPLY_PARAMETER_COUNT];

/* Encodes rows row_begin .. row_end. ret_parameters borrow from `apply` until the next call. */
void apply_encode(struct apply_parameters *apply, int16_t stream_id, const struct write *write,
                  struct sql_parameter ret_parameters[APPLY_PARAMETER_COUNT]);

void apply_done(struct apply_parameters *apply);

#endif
