/* Events on their way to the topic, each awaited, and the tally of what became of them. */
#ifndef WINNOW_SUBMISSION_H
#define WINNOW_SUBMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "exit_code.h"
#include "reject.h"
#include "settings.h"
#include "slice.h"
#include "status.h"

struct submission;

struct tally {
    int64_t sent; /* asked to send */
    int64_t acknowledged;
    int64_t failed;
    int64_t odd;       /* of those sent: normalization will make dead letters of them */
    int32_t partition; /* of the last one acknowledged */
    int64_t offset;
    struct fault first_fault; /* why the first one failed; STATUS_OK: none did */
};

/* What a worker will make of an event. */
struct verdict {
    bool accepted;
    uint8_t hash[EVENT_HASH_SIZE]; /* when accepted */
    struct reject reject;          /* when not */
};

/* Connects and asks for the topic. STATUS_RETRY when the brokers did not answer within timeout_ms or a stop
 * signal came, STATUS_STOP when the topic or the configuration is wrong. Settings are borrowed. */
MUST_CHECK bool submission_open(const struct settings *settings, int64_t timeout_ms,
                                struct submission **ret_submission, struct fault *ret_fault);

/* Sends the bytes as they are, with the client id that normalization finds as the key. Waits while the queue
 * is full. False when nothing was acknowledged for timeout_ms, or a stop signal came; the event counts as
 * failed then. */
MUST_CHECK bool submission_send(struct submission *submission, struct slice event,
                                struct verdict *ret_verdict);

/* Counts what was acknowledged meanwhile; waits up to wait_ms for it. Returns how many are under way. */
size_t submission_serve(struct submission *submission, int wait_ms);

/* Waits a tenth of a second for what is under way. False when there is nothing left to wait for: everything
 * is known, nothing was acknowledged for timeout_ms, or a stop signal came more than 5 s ago. */
MUST_CHECK bool submission_drain(struct submission *submission);

/* Drains; what is not acknowledged then counts as failed. The submission takes no more events. */
void submission_finish(struct submission *submission);

const struct tally *submission_tally(const struct submission *submission);

/* Takes NULL. */
void submission_free(struct submission *submission);

#endif
