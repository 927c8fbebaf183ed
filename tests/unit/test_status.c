#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

static void test_fault_is_one_line(void)
{
    struct fault fault;
    memset(&fault, 0xA5, sizeof fault);
    fault_set(&fault, STATUS_RETRY, "claim", "line %d\r\nline %s\n", 1, "two");
    CU_ASSERT_EQUAL(fault.status, STATUS_RETRY);
    CU_ASSERT_STRING_EQUAL(fault.site, "claim");
    CU_ASSERT_EQUAL(fault.code, 0);
    CU_ASSERT_STRING_EQUAL(fault.sqlstate, "");
    CU_ASSERT_STRING_EQUAL(fault.text, "line 1  line two ");
}

static void test_fault_is_cut(void)
{
    struct fault fault;
    char text[2 * FAULT_TEXT_SIZE];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    fault_set(&fault, STATUS_STOP, "apply", "%s", text);
    CU_ASSERT_EQUAL(strlen(fault.text), FAULT_TEXT_SIZE - 1);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("status", NULL, NULL);
    CU_add_test(suite, "fault is one line", test_fault_is_one_line);
    CU_add_test(suite, "fault is cut", test_fault_is_cut);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
