// link: worker/secret.c
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "secret.h"

static void test_masked_conninfo(void)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"winnow", "winnow"},
        {"host=h dbname=d", "host=h dbname=d"},
        {"host=h password=p user=u", "host=h password=*** user=u"},
        {"password = 'it\\'s a p' user='a b'", "password=*** user='a b'"},
        {"password=a\\ b user=u", "password=*** user=u"},
        {"sslpassword=k passfile=/p", "sslpassword=*** passfile=/p"},
        {"host=h password='open", "***"},
        {"host=h nonsense", "***"},
        {"postgres://u:p@h:5432/d", "postgres://u:***@h:5432/d"},
        {"postgresql://u@h/d?user=a@b", "postgresql://u@h/d?user=a@b"},
        {"postgresql://h:5432/d", "postgresql://h:5432/d"},
        {"postgres://u:p@q@h/d", "postgres://u:***@h/d"},
        {"postgres://u:p/q@h/d", "postgres://u:***@h/d"},
        {"postgres://u:p?q@h/d", "postgres://u:***@h/d"},
        {"postgres:///d?host=h&password=p&sslmode=require",
         "postgres:///d?host=h&password=***&sslmode=require"},
        {"postgres://u:p@h/d?sslpassword=k", "postgres://u:***@h/d?sslpassword=***"},
        {"postgres://h/d?pass%77ord=p", "postgres://h/d?pass%77ord=***"},
        {"mysql://u:p@h/d", "***"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char *masked = secret_mask_conninfo(rows[i][0]);
        CU_ASSERT_STRING_EQUAL(masked, rows[i][1]);
        if (strcmp(masked, rows[i][1]) != 0) (void)printf("\n    %s became %s", rows[i][0], masked);
        free(masked);
    }
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("secret", NULL, NULL);
    CU_add_test(suite, "masked conninfo", test_masked_conninfo);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
