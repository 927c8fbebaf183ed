/* The sink that is PostgreSQL (sink.h): one connection, opened when first needed and again after it is lost.
 */
#ifndef WINNOW_SINK_POSTGRES_H
#define WINNOW_SINK_POSTGRES_H

#include "attr.h"
#include "metrics.h"
#include "settings.h"
#include "sink.h"

/* Borrows the settings and the metrics, which hear of claims, batches and faults; copies the cluster id. Does
 * not connect. The caller owns it. */
struct sink *sink_open(const struct settings *settings, const char *cluster_id, struct metrics *metrics);

/* Connects and finds the stream's row, or makes it; nothing when that is done already. The other functions
 * call it by themselves: before them, it tells in time that the stream is of another cluster, or that we may
 * not write (STATUS_STOP). */
MUST_CHECK bool sink_connect(struct sink *sink, struct fault *ret_fault);

void sink_close(struct sink *sink); /* takes NULL */

#endif
