// link: worker/migrate_watch.c worker/progress.c worker/terminal_size.c worker/socket_wait.c
// link: worker/database.c worker/database_fault.c worker/signals.c worker/log.c worker/clock.c
// link: migrations.c tests/broker/schema.c
/* How far a migration's statement is said to be, and that PostgreSQL tells it. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate_watch.h"
#include "schema.h"
#include "with_postgres.h"

static struct migrate_watch watch;
static char text[128];

static const char *print(int64_t now_ms, int64_t done, int64_t total)
{
    const struct migrate_sight sight = {
        .what = "index of event, scanning table", .done = done, .total = total};
    migrate_watch_print(&watch, &sight, now_ms, text, sizeof text);
    return text;
}

static void test_what_is_left(void)
{
    watch = (struct migrate_watch){0};
    CU_ASSERT_STRING_EQUAL(print(10000, 0, 4000), "index of event, scanning table: 0 %");
    CU_ASSERT_STRING_EQUAL(print(10100, 20, 4000), "index of event, scanning table: 0 %");
    CU_ASSERT_STRING_EQUAL(print(20000, 1000, 4000), "index of event, scanning table: 25 %, 30 s left");
    CU_ASSERT_STRING_EQUAL(print(90000, 3000, 4000), "index of event, scanning table: 75 %, 27 s left");
    CU_ASSERT_STRING_EQUAL(print(99000, 4000, 4000), "index of event, scanning table: 100 %, 0 s left");
}

/* The next table is not as fast as this one was. */
static void test_a_new_step_begins_anew(void)
{
    watch = (struct migrate_watch){0};
    (void)print(10000, 0, 4000);
    (void)print(20000, 2000, 4000);
    CU_ASSERT_STRING_EQUAL(print(30000, 10, 80), "index of event, scanning table: 12 %");
    CU_ASSERT_STRING_EQUAL(print(40000, 20, 80), "index of event, scanning table: 25 %, 1 min 00 s left");
}

static void test_without_numbers_there_is_no_estimate(void)
{
    const struct migrate_sight nothing = {0};
    watch = (struct migrate_watch){0};
    migrate_watch_print(&watch, &nothing, 10000, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "no estimate");
    CU_ASSERT_STRING_EQUAL(print(20000, 0, 0), "index of event, scanning table: no estimate");
}

static void test_partitions_differ_in_size(void)
{
    const struct migrate_sight third = {.what = "index of event, building index",
                                        .done = 34,
                                        .total = 100,
                                        .partitions_done = 2,
                                        .partitions_total = 14};
    watch = (struct migrate_watch){0};
    migrate_watch_print(&watch, &third, 10000, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "index of event, building index: partition 3 of 14 34 %");
}

/* What a real server tells while it works: the share only grows, and at last there is a time. */
struct seen {
    unsigned looks;
    unsigned falls;
    int last_share;
    bool left;
};

static void look(void *context)
{
    struct seen *seen = context;
    static const char begin[] = "index of large, scanning table: ";
    migrate_watch_look(&watch, text, sizeof text);
    if (strncmp(text, begin, sizeof begin - 1) != 0) return;
    const int share = atoi(text + sizeof begin - 1);
    seen->looks++;
    seen->falls += share < seen->last_share;
    seen->last_share = share;
    seen->left = seen->left || strstr(text, " s left") != NULL;
}

static void test_an_index_in_the_making(void)
{
    struct database *builder = NULL;
    struct fault fault;
    struct seen seen = {0};
    (void)ask("CREATE TABLE public.large (number integer, filler text)");
    (void)ask("ALTER TABLE public.large ALTER filler SET STORAGE PLAIN");
    (void)ask("INSERT INTO public.large SELECT n, repeat('x', 4000) FROM generate_series(1, 1500) AS n");
    (void)ask("CREATE FUNCTION public.slowly(number integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS"
              " 'BEGIN PERFORM pg_catalog.pg_sleep(0.0018); RETURN number; END'");
    CU_ASSERT_TRUE_FATAL(database_open(
        &(struct database_options){.conninfo = "", .application_name = "builder"}, &builder, &fault));
    database_listen(builder, &(struct database_listener){.waiting = look, .context = &seen});
    struct rows *rows = NULL;
    CU_ASSERT_TRUE_FATAL(database_run(builder, "test", "SELECT pg_backend_pid()", NULL, 0, &rows, &fault));
    watch = (struct migrate_watch){.conninfo = "", .pid = rows_int(rows, 0, 0)};
    rows_free(rows);
    CU_ASSERT_TRUE(database_run(builder, "test", "CREATE INDEX ON public.large (public.slowly(number))", NULL,
                                0, NULL, &fault));
    CU_ASSERT(seen.looks > 1 && seen.falls == 0 && seen.last_share > 0 && seen.last_share <= 100);
    CU_ASSERT_TRUE(seen.left);
    migrate_watch_done(&watch);
    database_close(builder);
}

static int run_tests(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("migrate watch", schema_start, schema_stop);
    CU_add_test(suite, "what is left", test_what_is_left);
    CU_add_test(suite, "a new step begins anew", test_a_new_step_begins_anew);
    CU_add_test(suite, "without numbers there is no estimate", test_without_numbers_there_is_no_estimate);
    CU_add_test(suite, "partitions differ in size", test_partitions_differ_in_size);
    CU_add_test(suite, "an index in the making", test_an_index_in_the_making);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    return with_postgres(argv[0], run_tests);
}
