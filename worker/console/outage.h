/* A simulated outage: for a while PostgreSQL ends every connection of workers and lets nothing be written.
 * Only with
 * --allow-fault-injection. */
#ifndef WINNOW_OUTAGE_H
#define WINNOW_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "settings.h"
#include "status.h"

struct outage;

struct outage *outage_new(const struct settings *settings); /* borrowed */
/* Ends an outage at once. Takes NULL. */
void outage_free(struct outage *outage);

/* Begins one, and returns when the workers are cut off. STATUS_REJECT when one is going on. It needs a login
 * that is a member of winnow_worker. */
MUST_CHECK bool outage_begin(struct outage *outage, int64_t seconds, int64_t *ret_until_ms,
                             struct fault *ret_fault);

/* When the one that is going on ends, by clock_wall_ms(); 0: none is. Takes NULL. */
int64_t outage_until(struct outage *outage);

#endif
