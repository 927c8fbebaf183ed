#include "console/progress_print.h"

#include <stdio.h>

#include "json.h"

void json_known(struct buffer *out, const char *name, int64_t value)
{
    if (value < 0)
        json_null(out, name);
    else
        json_int(out, name, value);
}

void json_seconds(struct buffer *out, const char *name, double seconds)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.1f", seconds);
    json_raw(out, name, seconds < 0 ? "null" : text);
}

static void add(struct progress_total *total, const struct progress_partition *partition)
{
    total->complete &= progress_is_complete(partition);
    total->halted |= partition->halted;
    total->lag = total->lag < 0 || partition->lag < 0 ? -1 : total->lag + partition->lag;
    if (partition->lag_seconds > total->lag_seconds) total->lag_seconds = partition->lag_seconds;
    total->offsets_read += partition->next_offset - partition->start_offset;
    total->stored += partition->stored;
    total->duplicate += partition->duplicate;
    total->dead += partition->dead;
    total->gap += partition->gap;
    total->lost += partition->lost;
    total->skipped += partition->skipped;
}

struct progress_total progress_sum(const struct progress_snapshot *snapshot)
{
    struct progress_total total = {.complete = true, .lag_seconds = 0};
    for (size_t i = 0; i < snapshot->count; i++) add(&total, &snapshot->partitions[i]);
    if (snapshot->lag_fault.status != STATUS_OK) total.lag = -1;
    if (total.lag < 0) total.lag_seconds = -1;
    return total;
}

void progress_print_total(const struct progress_total *total, struct buffer *out)
{
    json_open(out, '{');
    json_known(out, "lag", total->lag);
    json_int(out, "offsets_read", total->offsets_read);
    json_int(out, "stored", total->stored);
    json_int(out, "duplicate", total->duplicate);
    json_int(out, "dead", total->dead);
    json_int(out, "gap", total->gap);
    json_int(out, "lost", total->lost);
    json_int(out, "skipped", total->skipped);
    json_bool(out, "complete", total->complete);
    json_close(out, '}');
}

static const char *text_or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static const char *state_of(const struct progress_partition *partition)
{
    if (!partition->started) return "not_started";
    return partition->halted ? "halted" : "running";
}

void progress_print_partition(const struct progress_partition *partition, struct buffer *out)
{
    json_open(out, '{');
    json_int(out, "partition", partition->partition);
    json_known(out, "next_offset", partition->started ? partition->next_offset : -1);
    json_known(out, "lag", partition->lag);
    json_int(out, "offsets_read", partition->next_offset - partition->start_offset);
    json_int(out, "stored", partition->stored);
    json_int(out, "duplicate", partition->duplicate);
    json_int(out, "dead", partition->dead);
    json_int(out, "gap", partition->gap);
    json_int(out, "lost", partition->lost);
    json_int(out, "skipped", partition->skipped);
    json_bool(out, "complete", progress_is_complete(partition));
    json_text(out, "state", state_of(partition));
    json_text(out, "halt_reason", text_or_null(partition->halt_reason));
    json_text(out, "halt_detail", text_or_null(partition->halt_detail));
    json_text(out, "owner", text_or_null(partition->owner));
    json_text(out, "claimed_at", text_or_null(partition->claimed_at));
    json_text(out, "last_commit_at", text_or_null(partition->updated_at));
    json_seconds(out, "lag_seconds", partition->lag_seconds);
    json_close(out, '}');
}
