#include <stddef.h>

#include "command.h"

const struct command command_table[] = {
    {.name = "migrate", .run = command_migrate, .usage = &usage_migrate, .is_first = true},
    {.name = "pool", .run = command_pool, .usage = &usage_pool, .is_first = true},
    {.name = "submit", .run = command_submit, .usage = &usage_submit, .is_first = true},
    {.name = "explain", .run = command_explain, .usage = &usage_explain, .is_first = true},
    {.name = "status", .run = command_status, .usage = &usage_status, .is_first = true},
    {.name = "console", .run = command_console, .usage = &usage_console},
    {.name = "resume", .run = command_resume, .usage = &usage_resume},
    {.name = "seek", .run = command_seek, .usage = &usage_seek},
    {.name = "worker", .run = command_worker, .usage = &usage_worker},
    {.name = "config", .run = command_config, .usage = &usage_config},
    {.name = "housekeep", .run = command_housekeep, .usage = &usage_housekeep},
    {.name = NULL},
};
