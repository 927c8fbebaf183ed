// link: worker/nearest.c
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"

static const char *nearest_of(const char *wanted, const char *a, const char *b)
{
    struct nearest nearest = nearest_to(wanted);
    nearest_offer(&nearest, a);
    nearest_offer(&nearest, b);
    return nearest.name != NULL ? nearest.name : "(none)";
}

static void test_nearest(void)
{
    CU_ASSERT_STRING_EQUAL(nearest_of("sumbit", "status", "submit"), "submit");
    CU_ASSERT_STRING_EQUAL(nearest_of("sumbit", "sumbxx", "submit"), "submit"); /* a swap is one mistake */
    CU_ASSERT_STRING_EQUAL(nearest_of("BATCH-ROW", "batch_rows", "batch_bytes"), "batch_rows");
    CU_ASSERT_STRING_EQUAL(nearest_of("x", "topic", "up"), "(none)");
    CU_ASSERT_STRING_EQUAL(nearest_of("topic", "group", "start"), "(none)");
    CU_ASSERT_STRING_EQUAL(nearest_of("foo", "pool", "dlq"), "(none)"); /* two mistakes in three letters */
    CU_ASSERT_STRING_EQUAL(nearest_of("dql", "pool", "dlq"), "dlq");
    CU_ASSERT_STRING_EQUAL(nearest_of("", "a", "b"), "(none)");
    char name[NEAREST_NAME_MAX + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    CU_ASSERT_STRING_EQUAL(nearest_of(name, name, name), "(none)"); /* longer than it looks at */
    CU_ASSERT_STRING_EQUAL(nearest_of(name + 1, name + 2, "x"), name + 2);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("nearest", NULL, NULL);
    CU_add_test(suite, "nearest", test_nearest);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
