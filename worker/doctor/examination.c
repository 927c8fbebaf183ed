#include "doctor/examination.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKS_MAX 64

const struct check checks[] = {
    {"configuration", "", examine_configuration},
    {"libraries", "configuration", examine_libraries},
    {"brokers", "configuration", examine_brokers},
    {"advertised", "brokers", examine_advertised},
    {"topic", "advertised", examine_topic},
    {"workers", "topic", examine_workers},
    {"topic-settings", "topic", examine_topic_settings},
    {"read-permission", "topic", examine_read_permission},
    {"group", "advertised", examine_group},
    {"broker-clock", "topic group", examine_broker_clock},
    {"dead-letter-topic", "advertised", examine_dead_letter_topic},
    {"dead-letter-settings", "dead-letter-topic", examine_dead_letter_settings},
    {"write-permission", "dead-letter-topic", examine_write_permission},
    {"postgresql", "", examine_postgresql},
    {"login", "postgresql", examine_login},
    {"database", "login", examine_database},
    {"writable", "database", examine_writable},
    {"schema", "database", examine_schema},
    {"privileges", "schema", examine_privileges},
    {"durability", "database", examine_durability},
    {"connections", "database", examine_connections},
    {"disk", "database", examine_disk},
    {"database-clock", "database", examine_database_clock},
    {"locks", "schema", examine_locks},
    {"months-ahead", "privileges locks", examine_months},
    {"default-partition", "privileges locks", examine_default},
    {"cluster", "brokers privileges locks", examine_cluster},
    {"halted", "configuration privileges locks", examine_halted},
    {"dead-letters", "configuration privileges locks", examine_dead_letters},
    {"retention", "read-permission privileges locks", examine_retention},
};
const size_t check_count = ARRAY_COUNT(checks);

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {
        [CHECK_OK] = "ok", [CHECK_WARN] = "warn", [CHECK_FAIL] = "fail", [CHECK_SKIP] = "skip"};
    return names[verdict];
}

void finding_add(struct finding *finding, enum verdict verdict, const char *format, ...)
{
    size_t size = strlen(finding->found);
    va_list values;
    if (verdict > finding->verdict) finding->verdict = verdict;
    if (size > 0 && size + 3 < sizeof finding->found)
        size += (size_t)snprintf(finding->found + size, sizeof finding->found - size, "; ");
    va_start(values, format);
    (void)vsnprintf(finding->found + size, sizeof finding->found - size, format, values);
    va_end(values);
}

/* Where the name of the given size stands in the table. */
static size_t find_check(const char *name, size_t size)
{
    for (size_t i = 0; i < check_count; i++) {
        if (strlen(checks[i].name) == size && memcmp(checks[i].name, name, size) == 0) return i;
    }
    abort(); /* the table is wrong */
}

/* The check at the root of what keeps this one from being run; check_count when nothing does. */
static size_t find_root(const struct check *check, const size_t roots[CHECKS_MAX])
{
    for (const char *at = check->needs; *at != '\0'; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        size_t needed = find_check(at, size);
        if (roots[needed] != check_count) return roots[needed];
        at += size;
    }
    return check_count;
}

void examination_run(struct examination *examination, examination_tell tell, void *context)
{
    size_t roots[CHECKS_MAX];
    if (check_count > CHECKS_MAX) abort();
    for (size_t i = 0; i < check_count; i++) {
        struct finding finding = {.verdict = CHECK_OK};
        roots[i] = find_root(&checks[i], roots);
        if (roots[i] != check_count)
            finding_add(&finding, CHECK_SKIP, "needs %s", checks[roots[i]].name);
        else
            checks[i].run(examination, &finding);
        if (finding.verdict == CHECK_FAIL) roots[i] = i;
        tell(context, &checks[i], &finding);
    }
}

void examination_done(struct examination *examination)
{
    kafka_config_free(examination->topic_config);
    kafka_config_free(examination->dead_letter_config);
    kafka_reader_free(examination->reader);
    kafka_admin_free(examination->kafka);
    database_close(examination->database);
}
