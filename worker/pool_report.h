/* What a pool tells its service manager (service_notify.h), and when: READY=1 when a worker has found
 * configuration, topic and schema right; RELOADING=1 while workers are replaced, READY=1 when all have
 * joined; STOPPING=1; STATUS= whenever it changes; and WATCHDOG=1 for as long as every worker goes on. */
#ifndef WINNOW_POOL_REPORT_H
#define WINNOW_POOL_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "roster.h"
#include "slot.h"

#define POOL_REPORT_STATUS_SIZE 128

struct pool_report {
    int64_t sign_ms; /* between two signs of life; 0: none are expected */
    int64_t sign_due_ms;
    bool ready;     /* what was told last */
    bool reloading; /* likewise */
    bool stopping;  /* likewise */
    int stuck_slot; /* of the worker that was named as stuck; -1: none */
    char status[POOL_REPORT_STATUS_SIZE];
};

/* Call service_notify_init() before. */
void pool_report_init(struct pool_report *report);

/* Tells what has changed and gives the sign of life that is due. Call in each round of the loop. A worker
 * that has not gone round its own loop for stuck_ms is stuck. */
void pool_report_tell(struct pool_report *report, const struct roster *roster, const struct slot_page *page,
                      int64_t stuck_ms, int64_t now_ms);

/* When it must be called at the latest; INT64_MAX: when something happens. */
int64_t pool_report_due_ms(const struct pool_report *report);

#endif
