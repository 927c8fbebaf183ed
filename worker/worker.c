#include "worker.h"

#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "exit_code.h"
#include "log.h"
#include "machine.h"
#include "shell_quote.h"
#include "signals.h"
#include "watch.h"

/* Looking for signals and for the database's answer costs a system call each: not for every message. */
#define POLLS_PER_LOOK  64
#define GROUP_WORD_SIZE 512

struct worker {
    struct worker_options options;
    struct machine *machine;
    struct watch watch;
    struct fault fault; /* of the action in hand */
    unsigned polls;
    bool stop_told;
    bool quiet;   /* as told to the machine last */
    bool resting; /* as told to the pool last */
};

static void failed(struct worker *worker, struct input *ret_input, bool of_write)
{
    ret_input->kind = INPUT_FAILED;
    ret_input->of_write = of_write;
    ret_input->fault = &worker->fault;
}

static bool take_signal(struct worker *worker, struct input *ret_input)
{
    if (!signals_look_for_stop() || worker->stop_told) return false;
    worker->stop_told = true;
    signals_arm_deadline(worker->options.settings->drain_timeout_ms);
    ret_input->kind = INPUT_STOP;
    return true;
}

/* The pool's wish stands in the page that it shares with us. */
static bool take_wish(struct worker *worker, struct input *ret_input)
{
    bool quiet = slot_is_quiet(worker->options.slot);
    if (quiet == worker->quiet) return false;
    worker->quiet = quiet;
    ret_input->kind = quiet ? INPUT_QUIET : INPUT_RESUMED;
    return true;
}

static void tell_rest(struct worker *worker, bool resting)
{
    if (resting == worker->resting) return;
    worker->resting = resting;
    slot_rest(worker->options.slot, resting);
}

static bool look(struct worker *worker, struct input *ret_input)
{
    if (take_signal(worker, ret_input) || take_wish(worker, ret_input)) return true;
    sink_poll(worker->options.sink, ret_input);
    return ret_input->kind != INPUT_IDLE;
}

static void wait_for_news(const struct worker *worker, const struct action *action)
{
    struct sink *sink = worker->options.sink;
    struct pollfd descriptors[] = {
        {.fd = action->read ? source_fd(worker->options.source) : -1, .events = POLLIN},
        {.fd = sink_fd(sink), .events = (short)(sink_wants_write(sink) ? POLLIN | POLLOUT : POLLIN)},
    };
    int64_t timeout_ms = watch_limit(&worker->watch, action->timeout_ms, clock_now_ms());
    (void)!signals_wait(descriptors, ARRAY_COUNT(descriptors), timeout_ms);
}

static void perform_poll(struct worker *worker, const struct action *action, struct input *ret_input)
{
    if (worker->polls++ % POLLS_PER_LOOK == 0 && look(worker, ret_input)) return;
    if (action->read) {
        source_next(worker->options.source, ret_input);
        if (ret_input->kind == INPUT_ASSIGNED) slot_reach(worker->options.slot, SLOT_JOINED);
        if (ret_input->kind != INPUT_IDLE) return;
    }
    if (look(worker, ret_input) || action->timeout_ms == 0) return;
    wait_for_news(worker, action);
}

static bool is_claimed(const struct claim *claims, size_t count, int32_t partition)
{
    for (size_t i = 0; i < count; i++) {
        if (claims[i].partition == partition) return true;
    }
    return false;
}

/* Partitions met for the first time get their row, with a concrete offset, before they are claimed. */
static bool open_missing(struct worker *worker, const struct action *action, const struct claim *claims,
                         size_t count)
{
    for (size_t i = 0; i < action->count; i++) {
        struct position start = {.partition = action->partitions[i]};
        if (is_claimed(claims, count, start.partition)) continue;
        if (!source_first_offset(worker->options.source, start.partition, &start.offset, &worker->fault) ||
            !sink_open_partition(worker->options.sink, start, &worker->fault)) {
            return false;
        }
        log_line(LOG_LEVEL_INFO, "partition_opened", "partition %" PRId32 " begins at offset %" PRId64,
                 start.partition, start.offset);
    }
    return true;
}

static void perform_claim(struct worker *worker, const struct action *action, struct input *ret_input)
{
    struct sink *sink = worker->options.sink;
    bool done = sink_claim(sink, action->partitions, action->count, &ret_input->claims, &ret_input->count,
                           &worker->fault);
    if (done && ret_input->count < action->count) {
        done = open_missing(worker, action, ret_input->claims, ret_input->count) &&
               sink_claim(sink, action->partitions, action->count, &ret_input->claims, &ret_input->count,
                          &worker->fault);
    }
    if (!done) {
        failed(worker, ret_input, false);
        return;
    }
    ret_input->kind = INPUT_CLAIMED;
}

/* Told by the shell, which knows the names that the command needs, and once the halt is written down. */
static bool perform_halt(struct worker *worker, const struct action *action)
{
    const struct settings *settings = worker->options.settings;
    if (!sink_halt(worker->options.sink, action->partition, action->epoch, action->reason, action->detail,
                   &worker->fault)) {
        return false;
    }
    char group[GROUP_WORD_SIZE];
    shell_quote(settings->group, group, sizeof group);
    bool another = strcmp(action->reason, "circuit_breaker") != 0;
    log_line(LOG_LEVEL_ERROR, "partition_halted",
             "partition %" PRId32 " is halted: %s: %s; when it is mended, to %s, run winnow resume -g %s "
             "%s/%" PRId32 " --at %s; with psql alone, as winnow_operator: SELECT "
             "winnow.resume_partition('%s', %" PRId32 ", '%s');",
             action->partition, action->reason, action->detail,
             another ? "read all that the topic holds now (or go on behind what is stored: --at next)"
                     : "go on behind what is stored",
             group, settings->topic, action->partition, another ? "earliest" : "next", settings->topic,
             action->partition, settings->group);
    return true;
}

static void perform_ack(struct worker *worker, const struct action *action)
{
    source_ack(worker->options.source, action->receipt);
    if (receipt_dead(action->receipt) > 0) publisher_poke(worker->options.publisher);
    log_line(LOG_LEVEL_DEBUG, "batch", "stored=%" PRId64 " duplicate=%" PRId64 " dead=%" PRId64,
             receipt_stored(action->receipt), receipt_duplicate(action->receipt),
             receipt_dead(action->receipt));
}

/* A broker that does not answer is no news: the partition may well be silent for the same reason. */
static void perform_look(struct worker *worker, const struct action *action, struct input *ret_input)
{
    bool told = source_ends(worker->options.source, action->partitions, action->count, &ret_input->ends);
    ret_input->kind = INPUT_ENDS;
    ret_input->count = told ? action->count : 0;
}

/* Every action but ACTION_EXIT. */
static void perform(struct worker *worker, const struct action *action, struct input *ret_input)
{
    const struct worker_options *options = &worker->options;
    bool done = true;
    *ret_input = (struct input){.kind = INPUT_NONE};
    switch (action->kind) {
    case ACTION_POLL:
        ret_input->kind = INPUT_IDLE;
        tell_rest(worker, action->resting);
        perform_poll(worker, action, ret_input);
        return;
    case ACTION_CLAIM:
        perform_claim(worker, action, ret_input);
        return;
    case ACTION_START:
        done = source_start(options->source, action->positions, action->count, action->whole, &worker->fault);
        break;
    case ACTION_WRITE:
        done = sink_write(options->sink, &action->write, &worker->fault);
        break;
    case ACTION_ACK:
        perform_ack(worker, action);
        break;
    case ACTION_LOOK:
        perform_look(worker, action, ret_input);
        return;
    case ACTION_HALT:
        done = perform_halt(worker, action);
        break;
    case ACTION_EXIT:
        break;
    }
    if (!done) failed(worker, ret_input, action->kind == ACTION_WRITE);
}

/* A message that ends the process must be found in hand by the supervisor; one that did so before is not
 * decoded. */
static struct action step(struct worker *worker, struct input *input)
{
    struct slot *slot = worker->options.slot;
    const int64_t now_ms = clock_now_ms();
    bool record = input->kind == INPUT_RECORD;
    slot_beat(slot, now_ms);
    if (record) {
        input->quarantined = slot_is_quarantined(slot, input->record.partition, input->record.offset);
        slot_take(slot, input->record.partition, input->record.offset);
    }
    struct action action = machine_step(worker->machine, input, now_ms);
    if (record) {
        slot_put(slot);
    } else {
        watch_step(&worker->watch, input, now_ms);
    }
    return action;
}

static void log_note(const struct note *note)
{
    static const enum log_level levels[] = {
        [NOTE_DEBUG] = LOG_LEVEL_DEBUG,
        [NOTE_INFO] = LOG_LEVEL_INFO,
        [NOTE_WARNING] = LOG_LEVEL_WARNING,
        [NOTE_ERROR] = LOG_LEVEL_ERROR,
    };
    if (note != NULL) log_line(levels[note->level], note->name, "%s", note->text);
}

static int finish(const struct worker *worker, const struct action *action)
{
    const struct machine_counters *counters = machine_counters(worker->machine);
    log_line(LOG_LEVEL_INFO, "worker_done",
             "taken=%" PRIu64 " batches=%" PRIu64 " stale=%" PRIu64 " gaps=%" PRIu64 " rereads=%" PRIu64
             " fenced=%" PRIu64 " resynced=%" PRIu64 " bisected=%" PRIu64 " collided=%" PRIu64
             " stalled=%" PRIu64,
             counters->taken, counters->batches, counters->stale, counters->gaps, counters->rereads,
             counters->fenced, counters->resynced, counters->bisected, counters->collided, counters->stalled);
    if (action->drained) return EXIT_DRAINED;
    log_line(LOG_LEVEL_ERROR, "worker_failed", "%s: %s", action->fault->site, action->fault->text);
    /* A fatal word of the database stops the pool; one of the Kafka client only asks for a new client. */
    return action->fault->sqlstate[0] != '\0' ? EXIT_BROKEN : EXIT_TEMPORARY;
}

static struct machine *make_machine(const struct worker_options *options)
{
    const struct settings *settings = options->settings;
    struct machine_options machine = {
        .limits = {.rows_max = (size_t)settings->batch_rows,
                   .bytes_max = (size_t)settings->batch_bytes,
                   .age_max_ms = settings->batch_age_ms},
        .event_bytes_max = (size_t)settings->event_bytes_max,
        .breaker_window = (uint32_t)settings->breaker_window,
        .breaker_percent = (uint32_t)settings->breaker_percent,
        .stall_timeout_ms = settings->stall_timeout_ms,
        .seed = options->seed,
    };
    return machine_new(&machine);
}

int worker_run(const struct worker_options *options)
{
    struct worker worker = {.options = *options, .machine = make_machine(options)};
    worker.watch = (struct watch){
        .metrics = slot_metrics(options->slot), .source = options->source, .machine = worker.machine};
    struct input input = {.kind = INPUT_NONE};
    for (;;) {
        struct action action = step(&worker, &input);
        log_note(action.note);
        if (action.kind == ACTION_EXIT) {
            int code = finish(&worker, &action);
            machine_free(worker.machine);
            return code;
        }
        perform(&worker, &action, &input);
    }
}
