/* What each error of PostgreSQL asks for: a wrong line here makes dead letters of good events, or retries
 * what will never work. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "sqlstate.h"

static void expect(enum status expected, const char *const *sqlstates)
{
    for (; *sqlstates != NULL; sqlstates++) {
        CU_ASSERT_EQUAL(sqlstate_status(*sqlstates, false), expected);
        if (sqlstate_status(*sqlstates, false) != expected)
            (void)fprintf(stderr, "%s is %d\n", *sqlstates, (int)sqlstate_status(*sqlstates, false));
    }
}

static void test_transient_errors_are_retried(void)
{
    static const char *const sqlstates[] = {"",      "08000", "08001", "08003", "08004", "08006", "08007",
                                            "08P01", "40001", "40002", "40003", "40P01", "53000", "53100",
                                            "53200", "53300", "53400", "55P03", "57014", "57P01", "57P02",
                                            "57P03", "57P04", "57P05", "25006", "25P03", "58030", NULL};
    expect(STATUS_RETRY, sqlstates);
    CU_ASSERT_EQUAL(sqlstate_status(NULL, false), STATUS_RETRY);
}

static void test_data_errors_are_rejected(void)
{
    static const char *const sqlstates[] = {"22000", "22001", "22003", "22007", "22008", "22021",
                                            "22P02", "22P05", "23502", "23503", "23505", "23P01",
                                            "54000", "54001", "54011", NULL};
    expect(STATUS_REJECT, sqlstates);
}

static void test_damage_is_fatal(void)
{
    static const char *const sqlstates[] = {"XX000", "XX001", "XX002", "58P01", "58P02", NULL};
    expect(STATUS_FATAL, sqlstates);
}

/* And everything unknown: it is never the data's fault. */
static void test_the_rest_waits_for_an_operator(void)
{
    static const char *const sqlstates[] = {"42501", "42P01", "42703", "42883", "28000", "28P01", "3D000",
                                            "3F000", "0A000", "21000", "23000", "23001", "55000", "55006",
                                            "25001", "25P02", "26000", "P0001", "99999", "ZZZZZ", NULL};
    expect(STATUS_STOP, sqlstates);
}

/* A CHECK names its constraint; a row that no partition takes does not. */
static void test_check_violations_are_told_by_their_name(void)
{
    CU_ASSERT_EQUAL(sqlstate_status("23514", true), STATUS_REJECT);
    CU_ASSERT_EQUAL(sqlstate_status("23514", false), STATUS_STOP);
    CU_ASSERT_EQUAL(sqlstate_status("42501", true), STATUS_STOP);
    CU_ASSERT_EQUAL(sqlstate_status("40001", true), STATUS_RETRY);
}

static void test_advice(void)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(sqlstate_advice("42501"), "grant winnow_worker"));
    CU_ASSERT_PTR_NOT_NULL(strstr(sqlstate_advice("42P01"), "winnow migrate"));
    CU_ASSERT_STRING_EQUAL(sqlstate_advice("P0001"), "");
    CU_ASSERT_PTR_NOT_NULL(strstr(sqlstate_advice("99999"), "appendix A"));
    CU_ASSERT_PTR_NOT_NULL(strstr(sqlstate_advice(NULL), "appendix A"));
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("sqlstate", NULL, NULL);
    CU_add_test(suite, "transient errors are retried", test_transient_errors_are_retried);
    CU_add_test(suite, "data errors are rejected", test_data_errors_are_rejected);
    CU_add_test(suite, "damage is fatal", test_damage_is_fatal);
    CU_add_test(suite, "the rest waits for an operator", test_the_rest_waits_for_an_operator);
    CU_add_test(suite, "check violations are told by their name",
                test_check_violations_are_told_by_their_name);
    CU_add_test(suite, "advice", test_advice);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
