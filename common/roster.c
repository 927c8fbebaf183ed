/* The pool as reconciliation: events from outside only change what is wanted (`wanted`, `renewal_due`,
 * `kill_all`), and roster_step() finds the first member whose state differs from it. What a member's state
 * makes of that is one table of state by event, so a new state or event shows every combination it has to
 * answer for. */
#include "roster.h"

#include <assert.h>
#include <string.h>

enum member_event {
    EVENT_WANTED,    /* there should be a worker */
    EVENT_DISMISSED, /* there should be none */
    EVENT_DUE,       /* the time to start it has come */
    EVENT_RENEWED,   /* its turn in a rolling restart */
    EVENT_OVERDUE,   /* it was asked to end and did not */
    EVENT_DIED,
    EVENT_COUNT
};

struct transition {
    enum member_state next;
    enum roster_action_kind action; /* ROSTER_WAIT: none */
};

static const struct transition transitions[MEMBER_STATE_COUNT][EVENT_COUNT] =
    {
        [MEMBER_ABSENT] =
            {
                [EVENT_WANTED] = {MEMBER_WAITING, ROSTER_WAIT},
                [EVENT_DISMISSED] = {MEMBER_ABSENT, ROSTER_WAIT},
                [EVENT_DUE] = {MEMBER_ABSENT, ROSTER_WAIT},
                [EVENT_RENEWED] = {MEMBER_ABSENT, ROSTER_WAIT},
                [EVENT_OVERDUE] = {MEMBER_ABSENT, ROSTER_WAIT},
                [EVENT_DIED] = {MEMBER_ABSENT, ROSTER_WAIT},
            },
        [MEMBER_WAITING] =
            {
                [EVENT_WANTED] = {MEMBER_WAITING, ROSTER_WAIT},
                [EVENT_DISMISSED] = {MEMBER_ABSENT, ROSTER_WAIT},
                [EVENT_DUE] = {MEMBER_RUNNING, ROSTER_START},
                [EVENT_RENEWED] = {MEMBER_WAITING, ROSTER_WAIT},
                [EVENT_OVERDUE] = {MEMBER_WAITING, ROSTER_WAIT},
                [EVENT_DIED] = {MEMBER_WAITING, ROSTER_WAIT},
            },
        [MEMBER_RUNNING] =
            {
                [EVENT_WANTED] = {MEMBER_RUNNING, ROSTER_WAIT},
                [EVENT_DISMISSED] = {MEMBER_LEAVING, ROSTER_TERMINATE},
                [EVENT_DUE] = {MEMBER_RUNNING, ROSTER_WAIT},
                [EVENT_RENEWED] = {MEMBER_RENEWING, ROSTER_TERMINATE},
                [EVENT_OVERDUE] = {MEMBER_RUNNING, ROSTER_WAIT},
                [EVENT_DIED] = {MEMBER_WAITING, ROSTER_WAIT},
            },
        [MEMBER_LEAVING] =
            {
                [EVENT_WANTED] = {MEMBER_RENEWING, ROSTER_WAIT},
                [EVENT_DISMISSED] = {MEMBER_LEAVING, ROSTER_WAIT},
                [EVENT_DUE] = {MEMBER_LEAVING, ROSTER_WAIT},
                [EVENT_RENEWED] = {MEMBER_LEAVING, ROSTER_WAIT},
                [EVENT_OVERDUE] = {MEMBER_LEAVING, ROSTER_KILL},
                [EVENT_DIED] = {MEMBER_ABSENT, ROSTER_WAIT},
            },
        [MEMBER_RENEWING] =
            {
                [EVENT_WANTED] = {MEMBER_RENEWING, ROSTER_WAIT},
                [EVENT_DISMISSED] = {MEMBER_LEAVING, ROSTER_WAIT},
                [EVENT_DUE] = {MEMBER_RENEWING, ROSTER_WAIT},
                [EVENT_RENEWED] = {MEMBER_RENEWING, ROSTER_WAIT},
                [EVENT_OVERDUE] = {MEMBER_RENEWING, ROSTER_KILL},
                [EVENT_DIED] = {MEMBER_WAITING, ROSTER_WAIT},
            },
};

void roster_init(struct roster *roster, const struct roster_options *options)
{
    assert(options->count >= 1 && options->count <= ROSTER_MEMBER_COUNT_MAX);
    memset(roster, 0, sizeof(*roster));
    roster->options = *options;
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        struct member *member = &roster->members[i];
        member->wanted = i < options->count;
        backoff_init(&member->backoff, ROSTER_RESTART_FLOOR_MS, ROSTER_RESTART_CEILING_MS,
                     options->seed ^ ((i + 1) * UINT64_C(0x9e3779b97f4a7c15)));
    }
}

void roster_checked(struct roster *roster)
{
    roster->checked = true;
}

/* Until the first worker has looked at everything they share, the others wait. */
static int64_t roster_start_ms(const struct roster *roster, const struct member *member)
{
    bool held = !roster->checked && member != &roster->members[0] && member->due_ms < roster->hold_until_ms;
    return held ? roster->hold_until_ms : member->due_ms;
}

static bool member_is_asked_to_end(const struct member *member)
{
    return member->state == MEMBER_LEAVING || member->state == MEMBER_RENEWING;
}

static bool member_has_process(const struct member *member)
{
    return member->state == MEMBER_RUNNING || member_is_asked_to_end(member);
}

/* In a rolling restart the next one has to wait while a replaced worker has not joined yet. */
static bool member_is_settling(const struct member *member, int64_t now_ms)
{
    if (member->state == MEMBER_RENEWING) return true;
    return member->wanted && !member->ready && now_ms < member->settle_end_ms;
}

static bool roster_is_settling(const struct roster *roster, int64_t now_ms)
{
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        if (member_is_settling(&roster->members[i], now_ms)) return true;
    }
    return false;
}

/* Applies an event. A time that the new state needs is set here and nowhere else. */
static enum roster_action_kind member_apply(struct roster *roster, struct member *member,
                                            enum member_event event, int64_t now_ms)
{
    const struct transition transition = transitions[member->state][event];
    member->state = transition.next;
    if (event == EVENT_WANTED && member->state == MEMBER_WAITING) member->due_ms = now_ms;
    if (transition.action == ROSTER_TERMINATE) member->due_ms = now_ms + roster->options.drain_ms;
    if (transition.action == ROSTER_KILL) member->killed = true;
    if (event == EVENT_RENEWED) member->renewal_due = false;
    if (transition.action == ROSTER_START) {
        member->started_ms = now_ms;
        member->killed = false;
        member->ready = false;
    }
    return transition.action;
}

/* The event that brings the member nearer to what is wanted; EVENT_COUNT when it is there. */
static enum member_event member_pending(const struct roster *roster, const struct member *member,
                                        int64_t now_ms)
{
    const bool wanted = member->wanted;
    const bool present = member->state == MEMBER_WAITING || member->state == MEMBER_RUNNING ||
                         member->state == MEMBER_RENEWING;
    if (wanted != present) return wanted ? EVENT_WANTED : EVENT_DISMISSED;
    if (member_is_asked_to_end(member) && !member->killed && (roster->kill_all || now_ms >= member->due_ms)) {
        return EVENT_OVERDUE;
    }
    if (member->state == MEMBER_WAITING && now_ms >= roster_start_ms(roster, member)) return EVENT_DUE;
    if (member->state == MEMBER_RUNNING && member->renewal_due && !roster_is_settling(roster, now_ms)) {
        return EVENT_RENEWED;
    }
    return EVENT_COUNT;
}

/* When time alone will give the member an event. */
static int64_t member_deadline(const struct roster *roster, const struct member *member)
{
    if (member->state == MEMBER_WAITING) return roster_start_ms(roster, member);
    if (member_is_asked_to_end(member) && !member->killed) return member->due_ms;
    if (member->state == MEMBER_RUNNING && !member->ready && member->settle_end_ms != 0) {
        return member->settle_end_ms;
    }
    return INT64_MAX;
}

static struct roster_action roster_rest(const struct roster *roster, int64_t now_ms)
{
    struct roster_action action = {.kind = roster->stopping ? ROSTER_FINISH : ROSTER_WAIT,
                                   .wait_until_ms = INT64_MAX};
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        const struct member *member = &roster->members[i];
        if (member->state != MEMBER_ABSENT) action.kind = ROSTER_WAIT;
        const int64_t deadline_ms = member_deadline(roster, member);
        if (deadline_ms > now_ms && deadline_ms < action.wait_until_ms) action.wait_until_ms = deadline_ms;
    }
    return action;
}

struct roster_action roster_step(struct roster *roster, int64_t now_ms)
{
    if (roster->hold_until_ms == 0) roster->hold_until_ms = now_ms + roster->options.hold_ms;
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        struct member *member = &roster->members[i];
        enum member_event event = member_pending(roster, member, now_ms);
        while (event != EVENT_COUNT) {
            const enum roster_action_kind kind = member_apply(roster, member, event, now_ms);
            if (kind != ROSTER_WAIT) return (struct roster_action){.kind = kind, .slot = i};
            event = member_pending(roster, member, now_ms);
        }
    }
    return roster_rest(roster, now_ms);
}

/* The entry of the message, or the one that makes room for it. */
static struct roster_tally *tally_find(struct roster *roster, int32_t partition, int64_t offset)
{
    struct roster_tally *oldest = &roster->tallies[0];
    for (unsigned i = 0; i < ROSTER_TALLY_COUNT; i++) {
        struct roster_tally *tally = &roster->tallies[i];
        if (tally->deaths > 0 && tally->partition == partition && tally->offset == offset) return tally;
        if (oldest->deaths == 0) continue;
        if (tally->deaths == 0 || tally->last_ms < oldest->last_ms) oldest = tally;
    }
    *oldest = (struct roster_tally){.partition = partition, .offset = offset};
    return oldest;
}

/* A worker that we have killed, or that was asked to end, says nothing about its message. */
static unsigned tally_death(struct roster *roster, const struct member *member,
                            const struct roster_death *death, int64_t now_ms)
{
    if (death->kind != DEATH_CRASHED || !death->in_hand || member->state != MEMBER_RUNNING) return 0;
    struct roster_tally *tally = tally_find(roster, death->partition, death->offset);
    tally->last_ms = now_ms;
    return ++tally->deaths;
}

/* Did it die as a member of a group that has other members of ours? */
static bool left_a_gap(const struct roster *roster, const struct member *member, enum death_kind kind)
{
    return kind != DEATH_DRAINED && member->ready && roster_joined_count(roster) > 1;
}

static int64_t restart_delay_ms(const struct roster *roster, struct member *member, enum death_kind kind,
                                int64_t lived_ms)
{
    if (kind == DEATH_REFUSED) return ROSTER_REFUSED_MS;
    if (member->state == MEMBER_RENEWING) return 0;
    if (lived_ms >= ROSTER_STEADY_MS) backoff_reset(&member->backoff);
    int64_t delay_ms = backoff_next_ms(&member->backoff);
    bool waits = left_a_gap(roster, member, kind) && delay_ms < roster->options.rejoin_ms;
    return waits ? roster->options.rejoin_ms : delay_ms;
}

/* True when there was one under way. */
static bool stop_renewal(struct roster *roster)
{
    bool due = false;
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        due = due || roster->members[i].renewal_due;
        roster->members[i].renewal_due = false;
    }
    return due;
}

static void dismiss_all(struct roster *roster)
{
    roster->stopping = true;
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) roster->members[i].wanted = false;
}

/* A worker that had not joined yet had nothing to drain, however it ended when it was asked to. */
static void roster_note_end(struct roster *roster, const struct member *member,
                            const struct roster_death *death)
{
    const bool drained = death->kind == DEATH_DRAINED ||
                         ((death->kind == DEATH_ENDED || death->kind == DEATH_REFUSED) && !member->ready);
    if (death->kind == DEATH_FINAL && roster->exit_code == 0) roster->exit_code = death->exit_code;
    if (death->kind == DEATH_FINAL) dismiss_all(roster);
    if (roster->stopping && !drained) roster->undrained = true;
}

struct roster_verdict roster_died(struct roster *roster, unsigned slot, const struct roster_death *told,
                                  int64_t now_ms)
{
    struct roster_death judged = *told;
    const struct roster_death *death = &judged;
    if (told->kind == DEATH_REFUSED) judged.kind = roster->checked ? DEATH_REFUSED : DEATH_FINAL;
    assert(slot < ROSTER_MEMBER_COUNT_MAX && member_has_process(&roster->members[slot]));
    struct member *member = &roster->members[slot];
    struct roster_verdict verdict = {.lived_ms = now_ms - member->started_ms};
    verdict.stops_pool = death->kind == DEATH_FINAL && !roster->stopping;
    verdict.stops_renewal = death->kind == DEATH_REFUSED && stop_renewal(roster);
    verdict.deaths = tally_death(roster, member, death, now_ms);
    verdict.quarantine = verdict.deaths >= ROSTER_DEATHS_MAX;
    roster_note_end(roster, member, death);
    verdict.restart_in_ms =
        member->wanted ? restart_delay_ms(roster, member, death->kind, verdict.lived_ms) : -1;
    if (member->state == MEMBER_RENEWING) member->settle_end_ms = now_ms + ROSTER_SETTLE_MS;
    (void)member_apply(roster, member, EVENT_DIED, now_ms);
    member->due_ms = now_ms + verdict.restart_in_ms;
    member->ready = false;
    member->renewal_due = false; /* whatever comes next is new anyway */
    return verdict;
}

void roster_joined(struct roster *roster, unsigned slot)
{
    assert(slot < ROSTER_MEMBER_COUNT_MAX);
    roster->members[slot].ready = true;
    roster->members[slot].settle_end_ms = 0;
}

void roster_stop(struct roster *roster)
{
    if (roster->stop_asked) roster->kill_all = true;
    roster->stop_asked = true;
    dismiss_all(roster);
}

bool roster_grow(struct roster *roster)
{
    if (roster->stopping || roster->drained) return false;
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        if (roster->members[i].wanted) continue;
        roster->members[i].wanted = true;
        return true;
    }
    return false;
}

/* A worker that is not running at the moment counts as the youngest of all. */
static int64_t member_birth_ms(const struct member *member)
{
    return member->state == MEMBER_RUNNING ? member->started_ms : INT64_MAX;
}

bool roster_shrink(struct roster *roster)
{
    if (roster->stopping || roster->drained || roster_wanted_count(roster) <= 1) return false;
    struct member *youngest = NULL;
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        struct member *member = &roster->members[i];
        if (!member->wanted) continue;
        if (youngest == NULL || member_birth_ms(member) >= member_birth_ms(youngest)) youngest = member;
    }
    youngest->wanted = false;
    return true;
}

bool roster_resize(struct roster *roster, unsigned count)
{
    if (roster->stopping || roster->drained || count < 1 || count > ROSTER_MEMBER_COUNT_MAX) return false;
    while (roster_wanted_count(roster) < count && roster_grow(roster)) continue;
    while (roster_wanted_count(roster) > count && roster_shrink(roster)) continue;
    return true;
}

void roster_set_options(struct roster *roster, unsigned count, int64_t drain_ms, int64_t rejoin_ms)
{
    struct roster_options *options = &roster->options;
    if (options->count != count && !roster_resize(roster, count)) roster->drained_count = count;
    options->count = count;
    options->drain_ms = drain_ms;
    options->rejoin_ms = rejoin_ms;
}

bool roster_drain(struct roster *roster)
{
    if (roster->stopping || roster->drained) return false;
    roster->drained = true;
    roster->drained_count = roster_wanted_count(roster);
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) roster->members[i].wanted = false;
    return true;
}

bool roster_resume(struct roster *roster)
{
    if (roster->stopping || !roster->drained) return false;
    roster->drained = false;
    for (unsigned i = 0; i < roster->drained_count; i++) roster->members[i].wanted = true;
    return true;
}

void roster_renew(struct roster *roster)
{
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX && !roster->stopping; i++) {
        roster->members[i].renewal_due = roster->members[i].state == MEMBER_RUNNING;
    }
}

bool roster_is_renewing(const struct roster *roster)
{
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        const struct member *member = &roster->members[i];
        if (member->renewal_due || member->state == MEMBER_RENEWING) return true;
    }
    return false;
}

unsigned roster_wanted_count(const struct roster *roster)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) count += roster->members[i].wanted;
    return count;
}

unsigned roster_joined_count(const struct roster *roster)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        const struct member *member = &roster->members[i];
        count += member->wanted && member->ready && member->state == MEMBER_RUNNING;
    }
    return count;
}

int roster_result(const struct roster *roster)
{
    if (roster->exit_code != 0) return roster->exit_code;
    return roster->undrained ? -1 : 0;
}
