#include <CUnit/Basic.h>
#include <stdlib.h>

#include "buffer.h"

static void test_done_takes_zeroed_and_used(void)
{
    struct buffer buffer = {0};
    buffer_done(&buffer);
    (void)buffer_add(&buffer, "a", 1);
    buffer_done(&buffer);
    CU_ASSERT_PTR_NULL(buffer.data);
    CU_ASSERT_EQUAL(buffer.size, 0);
    CU_ASSERT_EQUAL(buffer.capacity, 0);
}

static void test_add_returns_offsets_and_keeps_bytes(void)
{
    struct buffer buffer = {0};
    for (size_t i = 0; i < 10000; i++) {
        unsigned char pair[2] = {(unsigned char)i, (unsigned char)(i >> 8)};
        CU_ASSERT_EQUAL_FATAL(buffer_add(&buffer, pair, 2), 2 * i);
    }
    for (size_t i = 0; i < 10000; i++) {
        CU_ASSERT_EQUAL_FATAL((unsigned char)buffer.data[2 * i], i & 0xFF);
        CU_ASSERT_EQUAL_FATAL((unsigned char)buffer.data[2 * i + 1], i >> 8);
    }
    buffer_done(&buffer);
}

static void test_add_nothing(void)
{
    struct buffer buffer = {0};
    CU_ASSERT_EQUAL(buffer_add(&buffer, NULL, 0), 0);
    CU_ASSERT_EQUAL(buffer.size, 0);
    buffer_done(&buffer);
}

static void test_reserve_leaves_the_size(void)
{
    struct buffer buffer = {0};
    (void)buffer_add(&buffer, "abc", 3);
    char *room = buffer_reserve(&buffer, 1000);
    CU_ASSERT_PTR_EQUAL(room, buffer.data + 3);
    CU_ASSERT_EQUAL(buffer.size, 3);
    CU_ASSERT(buffer.capacity >= 1003);
    memset(room, 'x', 1000);
    CU_ASSERT_PTR_EQUAL(buffer_reserve(&buffer, 1000), room); /* what was reserved does not move */
    buffer_clear(&buffer);
    CU_ASSERT_EQUAL(buffer.size, 0);
    CU_ASSERT(buffer.capacity >= 1003);
    buffer_done(&buffer);
}

static void test_integers_are_big_endian(void)
{
    struct buffer buffer = {0};
    buffer_add_u16(&buffer, 0x0102);
    buffer_add_u32(&buffer, 0x03040506);
    buffer_add_u32(&buffer, 0x070809FF);
    CU_ASSERT_EQUAL_FATAL(buffer.size, 10);
    CU_ASSERT_EQUAL(memcmp(buffer.data, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\xff", 10), 0);
    buffer_set_u32(&buffer, 2, 0xFFFEFDFC);
    CU_ASSERT_EQUAL(memcmp(buffer.data, "\x01\x02\xff\xfe\xfd\xfc\x07", 7), 0);
    buffer_done(&buffer);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("buffer", NULL, NULL);
    CU_add_test(suite, "done takes zeroed and used", test_done_takes_zeroed_and_used);
    CU_add_test(suite, "add returns offsets and keeps bytes", test_add_returns_offsets_and_keeps_bytes);
    CU_add_test(suite, "add nothing", test_add_nothing);
    CU_add_test(suite, "reserve leaves the size", test_reserve_leaves_the_size);
    CU_add_test(suite, "integers are big endian", test_integers_are_big_endian);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
