/* The sink that is PostgreSQL (sink.h): one connection, opened when first needed and again after it is lost.
 */
#ifndef WINNOW_SINK_POSTGRES_H
#define WINNOW_SINK_POSTGRES_H

#include "settings.h"
#include "sink.h"

/* Borrows the settings; copies the cluster id. Does not connect. The caller owns it. */
struct sink *sink_open(const struct settings *settings, const char *cluster_id);
void sink_close(struct sink *sink); /* takes NULL */

#endif
