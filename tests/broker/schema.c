#include "schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "migrate.h"

struct database *database;

int schema_start(void)
{
    struct fault fault;
    if (!database_open(&(struct database_options){.conninfo = "", .application_name = "winnow test"},
                       &database, &fault)) {
        (void)fprintf(stderr, "%s\n", fault.text);
        return 1;
    }
    for (size_t i = 0; i < migration_count; i++) {
        if (database_run(database, "schema", (const char *)migrations[i].sql, NULL, 0, NULL, &fault))
            continue;
        (void)fprintf(stderr, "%s: %s\n", migrations[i].name, fault.text);
        return 1;
    }
    return 0;
}

int schema_start_with_stream(void)
{
    if (schema_start() != 0) return 1;
    (void)ask("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('g', 't', 'c')");
    return 0;
}

int schema_stop(void)
{
    database_close(database);
    database = NULL;
    return 0;
}

int64_t ask(const char *format, ...)
{
    char sql[2048];
    struct rows *rows = NULL;
    struct fault fault;
    va_list values;
    va_start(values, format);
    (void)vsnprintf(sql, sizeof sql, format, values);
    va_end(values);
    if (!database_run(database, "test", sql, NULL, 0, &rows, &fault)) {
        (void)fprintf(stderr, "%s: %s\n", sql, fault.text);
        abort();
    }
    int64_t number = rows_count(rows) > 0 ? rows_int(rows, 0, 0) : 0;
    rows_free(rows);
    return number;
}
