#include "settings_table.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "settings_check.h"

#define FIELD(member) .field = offsetof(struct settings, member)
#define KIB           INT64_C(1024)

const struct setting setting_table[SETTING_COUNT] = {
    {"brokers", 'b', SETTING_TEXT, FIELD(brokers), .value_name = "HOST:PORT", .wrong = check_brokers,
     .example = "localhost:9092", .group = "Kafka", .help = "Kafka's brokers, separated by commas"},
    {"topic", 't', SETTING_TEXT, FIELD(topic), .value_name = "NAME", .wrong = check_topic,
     .example = "events", .group = "Kafka", .help = "the topic that the events are in",
     .needs_restart = true},
    {"group", 'g', SETTING_TEXT, FIELD(group), .value_name = "NAME", .fallback = "winnow",
     .wrong = check_group, .group = "Kafka", .help = "consumer group; it keeps the progress",
     .needs_restart = true},
    {"stall_timeout_ms", 0, SETTING_INTEGER, FIELD(stall_timeout_ms), .value_name = "MS", .fallback = "60000",
     .group = "Kafka", .help = "a partition silent for so long is checked for a stuck client; 0: off",
     .min = 0, .max = 3600000},
    {"dead_letter_topic", 0, SETTING_TEXT, FIELD(dead_letter_topic), .value_name = "NAME",
     .wrong = check_topic, .example = "events.dlq", .group = "Kafka", .derived = "TOPIC.dlq",
     .help = "where dead letters are published", .needs_restart = true},
    {"database", 'd', SETTING_TEXT, FIELD(database), .value_name = "CONNINFO", .fallback = "",
     .wrong = check_database, .example = "host=localhost dbname=winnow user=winnow_worker",
     .group = "PostgreSQL", .help = "conninfo or URI; without it PGHOST, PGSERVICE …", .has_secret = true},
    {"database_password_file", 0, SETTING_TEXT, FIELD(database_password_file), .value_name = "FILE",
     .wrong = check_path, .example = "/etc/winnow/database-password", .group = "PostgreSQL",
     .help = "a file with the password alone; or PGPASSFILE"},
    {"statement_timeout_ms", 0, SETTING_INTEGER, FIELD(statement_timeout_ms), .value_name = "MS",
     .fallback = "30000", .group = "PostgreSQL", .help = "how long one statement may take", .min = 1000,
     .max = 120000},
    {"batch_rows", 0, SETTING_INTEGER, FIELD(batch_rows), .value_name = "ROWS", .fallback = "20000",
     .group = "Batches", .help = "most rows in one statement", .min = 1, .max = 100000},
    {"batch_bytes", 0, SETTING_INTEGER, FIELD(batch_bytes), .value_name = "BYTES", .fallback = "4194304",
     .group = "Batches", .help = "most bytes in one batch", .min = 64 * KIB, .max = 256 * KIB * KIB},
    {"batch_age_ms", 0, SETTING_INTEGER, FIELD(batch_age_ms), .value_name = "MS", .fallback = "20",
     .group = "Batches", .help = "a batch is written at this age at the latest", .min = 0, .max = 60000},
    {"event_bytes_max", 0, SETTING_INTEGER, FIELD(event_bytes_max), .value_name = "BYTES",
     .fallback = "1048576", .group = "Dead letters", .help = "a longer message is a dead letter", .min = 1,
     .max = 64 * KIB * KIB},
    {"breaker_window", 0, SETTING_INTEGER, FIELD(breaker_window), .value_name = "MESSAGES", .fallback = "200",
     .group = "Dead letters", .help = "messages the circuit breaker sees; 0: off", .min = 0, .max = 100000},
    {"breaker_percent", 0, SETTING_INTEGER, FIELD(breaker_percent), .value_name = "PERCENT", .fallback = "50",
     .group = "Dead letters", .help = "more of them dead halt the partition", .min = 1, .max = 99},
    {"workers", 'n', SETTING_INTEGER, FIELD(workers), .value_name = "COUNT", .fallback = "4",
     .group = "Processes", .help = "worker processes in the pool", .min = 1, .max = 256},
    {"drain_timeout_ms", 0, SETTING_INTEGER, FIELD(drain_timeout_ms), .value_name = "MS", .fallback = "10000",
     .group = "Processes", .help = "how long a process may take to end", .min = 100, .max = 600000},
    {"control_socket", 0, SETTING_TEXT, FIELD(control_socket), .value_name = "PATH", .fallback = "",
     .wrong = check_socket, .example = "/run/winnow/winnow.sock", .group = "Processes", .needs_restart = true,
     .derived = "GROUP.sock", .help = "where a pool takes commands; none: nowhere"},
    {"metrics_listen", 0, SETTING_TEXT, FIELD(metrics_listen), .value_name = "HOST:PORT",
     .wrong = check_metrics_listen, .example = METRICS_LISTEN_DEFAULT, .derived = METRICS_LISTEN_DEFAULT,
     .group = "Processes", .needs_restart = true,
     .help = "where a pool answers /metrics, /livez and /readyz; port 0: any free one; off: nowhere"},
    {"log_level", 0, SETTING_TEXT, FIELD(log_level), .value_name = "LEVEL", .fallback = "info",
     .choices = "error warning info debug", .group = "Processes", .help = "error, warning, info or debug"},
    {"log_format", 0, SETTING_TEXT, FIELD(log_format), .value_name = "FORMAT", .fallback = "auto",
     .choices = "auto logfmt json journal", .group = "Processes",
     .help = "logfmt, json, journal (<priority> in front), auto"},
    {"listen", 0, SETTING_TEXT, FIELD(listen), .value_name = "HOST:PORT", .fallback = "127.0.0.1:8077",
     .wrong = check_listen, .group = "Console", .help = "where the console listens; port 0: any free one"},
    {"token_file", 0, SETTING_TEXT, FIELD(token_file), .value_name = "FILE", .wrong = check_path,
     .example = "/etc/winnow/tokens", .group = "Console",
     .help = "lines of name, role, SHA-256 of a token; needed unless on a loopback address"},
    {"cors_origins", 0, SETTING_TEXT, FIELD(cors_origins), .value_name = "ORIGIN", .wrong = check_origins,
     .example = "https://dashboard.example.org", .group = "Console",
     .help = "web sites, separated by commas, whose pages may use the API from a browser"},
    {"connections_per_address", 0, SETTING_INTEGER, FIELD(connections_per_address), .value_name = "COUNT",
     .fallback = "512", .group = "Console", .min = 0, .max = 2048,
     .help = "most from one address, unless on a loopback address; 0: any number"},
    {"read_only", 0, SETTING_TEXT, FIELD(read_only), .fallback = "no", .choices = "no yes",
     .group = "Console", .help = "the flag alone, or yes: the console takes no writes from anyone",
     .is_switch = true},
    {"allow_fault_injection", 0, SETTING_TEXT, FIELD(allow_fault_injection), .fallback = "no",
     .choices = "no yes", .group = "Console", .is_switch = true,
     .help = "the flag alone, or yes: console and workers let database failures be simulated"},
};

bool setting_name_equals(const char *name, const char *other, size_t other_size)
{
    if (strlen(name) != other_size) return false;
    for (size_t i = 0; i < other_size; i++) {
        char a = name[i] == '-' ? '_' : name[i];
        char b = other[i] == '-' ? '_' : other[i];
        if (a != b) return false;
    }
    return true;
}

const struct setting *setting_find(const char *name, size_t size)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (setting_name_equals(setting_table[i].name, name, size)) return &setting_table[i];
    }
    return NULL;
}

const struct setting *setting_find_letter(char letter)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (setting_table[i].letter == letter && letter != 0) return &setting_table[i];
    }
    return NULL;
}

void setting_print_flag(const struct setting *setting, char ret_flag[SETTING_TEXT_SIZE])
{
    (void)snprintf(ret_flag, SETTING_TEXT_SIZE, "--%s", setting->name);
    for (char *c = ret_flag; *c != '\0'; c++) {
        if (*c == '_') *c = '-';
    }
}

void setting_print_variable(const struct setting *setting, char ret_variable[SETTING_TEXT_SIZE])
{
    (void)snprintf(ret_variable, SETTING_TEXT_SIZE, "WINNOW_%s", setting->name);
    for (char *c = ret_variable; *c != '\0'; c++) *c = (char)toupper((unsigned char)*c);
}
