/* Signals as readable input. Blocks the signals before any thread exists, so that libraries' threads never
 * see them, and reads them from a signalfd(2). SIGPIPE is ignored. A HUP that was ignored at the start
 * (nohup) stays ignored. Source: signal(7), signalfd(2). */
#ifndef WINNOW_SIGNALS_H
#define WINNOW_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"

/* Call once, first thing in a process that serves (worker, pool) or waits (submit, migrate). Blocks TERM,
 * INT, HUP, QUIT, TTIN, TTOU and, if `children`, CHLD. */
void signals_init(bool children);

/* Undoes it in a forked child before exec. */
void signals_reset(void);

/* Whether TERM, INT and QUIT end this process at once, as they do by default, or wait to be read. For one
 * that looks only: what is true of its thread is true of those it makes. */
void signals_end_at_once(bool at_once);

/* Call after signals_init() in a process that a pool started. While that parent lives, a second TERM or INT
 * does not end the process at once: Ctrl-C, or an init system that signals every process of a service,
 * reaches pool and workers alike, and the pool forwards it too. The pool ends workers at once by KILL. */
void signals_supervised(void);

/* The descriptor to wait on; -1 before signals_init(). */
int signals_fd(void);

/* Requests to stop that come closer together than this are one: timeout(1) signals its child and then its
 * whole group, and Ctrl-C comes with what a script forwards. */
#define SIGNALS_BURST_MS 100

/* The next pending signal, 0 when there is none. Never blocks. TERM, INT and QUIT are also remembered, and
 * given once per burst. */
int signals_next(void);

/* True once TERM, INT or QUIT was read. */
bool signals_stop_asked(void);

/* Reads what is pending and tells the same; for processes that only care about being asked to stop. */
bool signals_look_for_stop(void);

/* After stop was asked: ends the process with EXIT_TEMPORARY at the deadline, whatever hangs, and at once on
 * a second TERM or INT after the burst (but see signals_supervised()). Safe: a kill at any instant is. Call
 * it in the main thread; TERM and INT are not read by signals_next() any more. Only the first call counts. */
void signals_arm_deadline(int64_t timeout_ms);

/* Call in the main thread, after signals_init(): from the moment a request to stop arrives the process has so
 * long, also when the main thread hangs somewhere and reads no signals. */
void signals_limit_stop(int64_t timeout_ms);

/* True when TERM, INT or QUIT has arrived, read or not. Reads nothing; for any thread. */
bool signals_stop_arrived(void);

/* Waits until one of the descriptors is readable (events as in poll(2)), a signal is pending, or the time is
 * over; negative descriptors are skipped. At most 16 descriptors. timeout_ms < 0: no limit. Returns true when
 * anything is ready. */
struct pollfd;
MUST_CHECK bool signals_wait(struct pollfd *descriptors, unsigned count, int64_t timeout_ms);

#endif
