/* Standard error as the place of a log: nobody who reads slowly, or not at all, may hold up a worker. */
#ifndef WINNOW_LOG_OUTPUT_H
#define WINNOW_LOG_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

/* Looks at what standard error is. Call again when it has become something else. SIGPIPE is to be ignored
 * (signals_init()). */
void log_output_init(void);

/* How many lines were lost of which no line has told yet. */
uint64_t log_output_lost(void);

/* Writes the line by one write(2). Where there is no room for it waits up to a tenth of a second, and then
 * not again until there is room; a line that cannot be written is lost and counted. `told` is how many lost
 * ones the line tells of. Safe in several threads. */
void log_output_write(const char *line, size_t size, uint64_t told);

#endif
