// link: worker/dead_letter_lease.c worker/database.c worker/database_fault.c worker/socket_wait.c
// link: worker/signals.c worker/array.c worker/log.c worker/clock.c migrations.c
// link: tests/broker/schema.c
/* Leases of dead letters on a real PostgreSQL, without a broker. Without PGHOST it starts itself again below
 * tests/lib/with_postgres.py. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "database.h"
#include "dead_letter_lease.h"
#include "schema.h"
#include "with_postgres.h"

#define LETTERS 5

static char text_group[] = "g";
static char text_topic[] = "t";
static struct settings settings = {.group = text_group, .topic = text_topic};
static struct lease lease;
static struct lease other;
static struct fault fault;

static void begin(void)
{
    (void)ask("DELETE FROM winnow.dead_letter");
    (void)ask("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, value, reason, detail)"
              " SELECT stream_id, 0, n, 'v', 'invalid_json', 'M-3' FROM winnow.stream,"
              " generate_series(1, 5) AS n WHERE consumer_group = 'g'");
}

static void end(void)
{
    lease_done(&lease);
    lease_done(&other);
}

static void take(struct lease *ret_lease, size_t expected)
{
    CU_ASSERT_TRUE_FATAL(lease_take(database, &settings, ret_lease, &fault));
    CU_ASSERT_EQUAL_FATAL(ret_lease->count, expected);
}

static void run_out(void)
{
    (void)ask("UPDATE winnow.dead_letter SET publish_lease_until = publish_lease_until - interval '1 hour'");
}

static void test_what_is_on_lease_is_not_taken(void)
{
    bool wanted = false;
    begin();
    take(&lease, LETTERS);
    take(&other, 0);
    CU_ASSERT_TRUE(lease_is_wanted(database, &settings, &wanted, &fault));
    CU_ASSERT_FALSE(wanted);
    run_out();
    CU_ASSERT_TRUE(lease_is_wanted(database, &settings, &wanted, &fault));
    CU_ASSERT_TRUE(wanted);
    lease_done(&other);
    take(&other, LETTERS);
    end();
}

static void test_what_was_not_acknowledged_is_free_again(void)
{
    begin();
    take(&lease, LETTERS);
    lease.letters[0].state = LETTER_PUBLISHED;
    CU_ASSERT_TRUE(lease_mark(database, &settings, &lease, &fault));
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.dead_letter WHERE published_at IS NOT NULL"), 1);
    CU_ASSERT_EQUAL(ask("SELECT sum(publish_attempts) FROM winnow.dead_letter"), LETTERS - 1);
    take(&other, LETTERS - 1);
    end();
}

/* A publisher that was too slow: its failures are those of the one who has the letters now to judge; what it
 * has published is published. */
static void test_a_lost_lease_judges_nothing(void)
{
    begin();
    take(&lease, LETTERS);
    run_out();
    take(&other, LETTERS);
    lease.letters[0].state = LETTER_PUBLISHED;
    lease.letters[1].state = LETTER_TOO_LARGE;
    CU_ASSERT_TRUE(lease_mark(database, &settings, &lease, &fault));
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.dead_letter WHERE published_at IS NOT NULL"), 1);
    CU_ASSERT_EQUAL(ask("SELECT sum(publish_attempts) FROM winnow.dead_letter"), 0);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.dead_letter WHERE publish_lease_until > now()"),
                    LETTERS - 1);
    end();
}

static void test_a_refused_letter_has_to_wait(void)
{
    begin();
    take(&lease, LETTERS);
    lease.letters[0].state = LETTER_TOO_LARGE;
    CU_ASSERT_TRUE(lease_mark(database, &settings, &lease, &fault));
    take(&other, LETTERS - 1);
    end();
}

static int run_tests(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("lease", schema_start_with_stream, schema_stop);
    CU_add_test(suite, "what is on lease is not taken", test_what_is_on_lease_is_not_taken);
    CU_add_test(suite, "what was not acknowledged is free again",
                test_what_was_not_acknowledged_is_free_again);
    CU_add_test(suite, "a lost lease judges nothing", test_a_lost_lease_judges_nothing);
    CU_add_test(suite, "a refused letter has to wait", test_a_refused_letter_has_to_wait);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    return with_postgres(argv[0], run_tests);
}
