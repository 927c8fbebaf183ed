#include <CUnit/Basic.h>
#include <stdlib.h>

#include "headers.h"

static void test_round_trip(void)
{
    struct buffer buffer = {0};
    struct slice name;
    struct slice value;
    headers_add(&buffer, slice_of_text("a"), slice_of_text("one"));
    headers_add(&buffer, slice_of_text(""), slice_of_text(""));
    headers_add(&buffer, slice_of_text("a"), slice_of(NULL, 0));
    headers_add(&buffer, slice_of_text("z"), slice_of("\0\xff", 2));
    struct slice rest = slice_of(buffer.data, buffer.size);
    CU_ASSERT_TRUE_FATAL(headers_next(&rest, &name, &value));
    CU_ASSERT(slice_equals(name, slice_of_text("a")) && slice_equals(value, slice_of_text("one")));
    CU_ASSERT_TRUE_FATAL(headers_next(&rest, &name, &value));
    CU_ASSERT(name.size == 0 && value.size == 0 && value.data != NULL);
    CU_ASSERT_TRUE_FATAL(headers_next(&rest, &name, &value));
    CU_ASSERT(slice_equals(name, slice_of_text("a")) && value.data == NULL && value.size == 0);
    CU_ASSERT_TRUE_FATAL(headers_next(&rest, &name, &value));
    CU_ASSERT(slice_equals(value, slice_of("\0\xff", 2)));
    CU_ASSERT_FALSE(headers_next(&rest, &name, &value));
    CU_ASSERT_EQUAL(rest.size, 0);
    buffer_done(&buffer);
}

static void test_encoding(void)
{
    struct buffer buffer = {0};
    headers_add(&buffer, slice_of_text("n"), slice_of(NULL, 0));
    CU_ASSERT_EQUAL(buffer.size, 9);
    CU_ASSERT_EQUAL(memcmp(buffer.data, "\0\0\0\1n\xff\xff\xff\xff", 9), 0);
    buffer_done(&buffer);
}

static void test_absent_headers(void)
{
    struct slice rest = slice_of(NULL, 0);
    struct slice name;
    struct slice value;
    CU_ASSERT_FALSE(headers_next(&rest, &name, &value));
}

/* Cut anywhere, nothing is read and everything is left, and the outputs keep their values. */
static void test_damaged(void)
{
    static const char whole[] = "\0\0\0\2ab\0\0\0\3xyz";
    for (size_t size = 1; size < sizeof whole - 1; size++) {
        struct slice rest = slice_of(whole, size);
        struct slice name = slice_of_text("kept");
        struct slice value = name;
        CU_ASSERT_FALSE(headers_next(&rest, &name, &value));
        CU_ASSERT(rest.data == whole && rest.size == size);
        CU_ASSERT(slice_equals(name, slice_of_text("kept")) && slice_equals(value, slice_of_text("kept")));
    }
    struct slice null_name = slice_of("\xff\xff\xff\xff\0\0\0\0", 8);
    struct slice name;
    struct slice value;
    CU_ASSERT_FALSE(headers_next(&null_name, &name, &value));
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("headers", NULL, NULL);
    CU_add_test(suite, "round trip", test_round_trip);
    CU_add_test(suite, "encoding", test_encoding);
    CU_add_test(suite, "absent headers", test_absent_headers);
    CU_add_test(suite, "damaged", test_damaged);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
