/* The threads that answer what may take a while: each has its own connections to PostgreSQL, so that no
 * request waits for another's and the thread of all connections waits for none. */
#ifndef WINNOW_WORK_H
#define WINNOW_WORK_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "console/call.h"

struct work;
struct work_thread;

/* Settings are borrowed. Threads block all signals. */
struct work *work_new(const struct settings *settings, size_t thread_count);

/* Takes the call, with a reference of its own, and calls call_done() in the end. False when too many wait;
 * then the call is still the caller's to answer. */
MUST_CHECK bool work_submit(struct work *work, struct call *call);

/* Waits for the requests that threads have; those that still wait for a thread are answered with a problem.
 */
void work_free(struct work *work);

/* For call.c: whether the thread's call may take long (again, when it may). Half of the threads are kept for
 * what answers at once. Waits for that long for another's to end, unless too many wait already. */
MUST_CHECK bool work_reserve(struct work_thread *thread, int64_t wait_ms);
/* It does not any more; takes one that may not. */
void work_release(struct work_thread *thread);
/* For call.c: the thread's connection, opened when there is none; NULL with the fault. */
struct database *work_database(struct work_thread *thread, enum session_kind kind, struct fault *ret_fault);
/* Whether one is open from before. */
bool work_has_database(const struct work_thread *thread, enum session_kind kind);

#endif
