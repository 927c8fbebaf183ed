#include <stddef.h>
#include <stdio.h>

#include "command.h"
#include "command/dlq.h"

static const struct command dlq_table[] = {
    {.name = "list", .run = dlq_list, .usage = &usage_dlq_list},
    {.name = "show", .run = dlq_show, .usage = &usage_dlq_show},
    {.name = "replay", .run = dlq_replay, .usage = &usage_dlq_replay},
    {.name = "discard", .run = dlq_discard, .usage = &usage_dlq_discard},
    {.name = "undo", .run = dlq_undo, .usage = &usage_dlq_undo},
    {.name = "export", .run = dlq_export, .usage = &usage_dlq_export},
    {.name = NULL},
};

const struct command command_table[] = {
    {.name = "migrate", .run = command_migrate, .usage = &usage_migrate, .is_first = true},
    {.name = "pool", .run = command_pool, .usage = &usage_pool, .is_first = true},
    {.name = "submit", .run = command_submit, .usage = &usage_submit, .is_first = true},
    {.name = "explain", .run = command_explain, .usage = &usage_explain},
    {.name = "status", .run = command_status, .usage = &usage_status, .is_first = true},
    {.name = "doctor", .run = command_doctor, .usage = &usage_doctor, .is_first = true},
    {.name = "dlq", .usage = &usage_dlq, .subcommands = dlq_table},
    {.name = "console", .run = command_console, .usage = &usage_console},
    {.name = "resume", .run = command_resume, .usage = &usage_resume},
    {.name = "retain", .run = command_retain, .usage = &usage_retain},
    {.name = "seek", .run = command_seek, .usage = &usage_seek},
    {.name = "worker", .run = command_worker, .usage = &usage_worker},
    {.name = "config", .run = command_config, .usage = &usage_config},
    {.name = "completion", .run = command_completion, .usage = &usage_completion},
    {.name = "manual", .run = command_manual, .usage = &usage_manual},
    {.name = "housekeep", .run = command_housekeep, .usage = &usage_housekeep},
    {.name = NULL},
};

void command_each(void (*tell)(void *context, const char *path, const struct command *command), void *context)
{
    char path[COMMAND_PATH_SIZE];
    for (const struct command *command = command_table; command->name != NULL; command++) {
        if (command->usage->summary == NULL) continue;
        tell(context, command->name, command);
        for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++) {
            if (sub->usage->summary == NULL) continue;
            (void)snprintf(path, sizeof path, "%s %s", command->name, sub->name);
            tell(context, path, sub);
        }
    }
}
