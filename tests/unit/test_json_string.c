#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_string.h"

/* `quoted` is a whole token. */
static void expect(const char *quoted, const char *expected, size_t expected_size)
{
    struct jsonstring *jsonstring = jsonstring_new();
    struct buffer buffer = {0};
    (void)buffer_add(&buffer, "kept", 4);
    for (int i = 0; i < 2; i++) {
        buffer.size = 4;
        jsonstring_decode(jsonstring, slice_of(quoted + 1, strlen(quoted) - 2), &buffer);
        CU_ASSERT(slice_equals(slice_of(buffer.data, 4), slice_of_text("kept")));
        CU_ASSERT(
            slice_equals(slice_of(buffer.data + 4, buffer.size - 4), slice_of(expected, expected_size)));
    }
    buffer_done(&buffer);
    jsonstring_free(jsonstring);
}

static void test_escapes(void)
{
    expect("\"\"", "", 0);
    expect("\"plain \xc3\xa9\"", "plain \xc3\xa9", 8);
    expect("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    expect("\"a\\u00e9\\u20AC\"", "a\xc3\xa9\xe2\x82\xac", 6);
}

static void test_nul_keeps_its_place(void)
{
    expect("\"a\\u0000b\"", "a\0b", 3);
    expect("\"\\u0000\\u0000\"", "\0\0", 2);
}

static void test_surrogates(void)
{
    expect("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4);
    expect("\"\\uD800\\uDC00\\udbff\\udfff\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8);
    /* Refused elsewhere (M-4), but must not break anything here. */
    expect("\"\\ud800\"", "\xef\xbf\xbd", 3);
    expect("\"\\ud800\\u0041\"",
           "\xef\xbf\xbd"
           "A",
           4);
    expect("\"\\udc00x\"", "\xef\xbf\xbdx", 4);
}

/* json-c would make something else of one in 32. */
static void test_every_pair(void)
{
    struct jsonstring *jsonstring = jsonstring_new();
    struct buffer decoded = {0};
    for (unsigned character = 0x10000; character <= 0x10FFFF; character += 7) {
        char quoted[32];
        (void)snprintf(quoted, sizeof quoted, "\"\\\\\\u%04x\\u%04X\"",
                       0xD800 + ((character - 0x10000) >> 10), 0xDC00 + (character & 0x3FF));
        const unsigned char bytes[] = {
            '\\', (unsigned char)(0xF0 | character >> 18), (unsigned char)(0x80 | (character >> 12 & 0x3F)),
            (unsigned char)(0x80 | (character >> 6 & 0x3F)), (unsigned char)(0x80 | (character & 0x3F))};
        decoded.size = 0;
        jsonstring_decode(jsonstring, slice_of(quoted + 1, strlen(quoted) - 2), &decoded);
        if (!slice_equals(slice_of(decoded.data, decoded.size), slice_of((const char *)bytes, sizeof bytes)))
            CU_FAIL_FATAL("another character");
    }
    expect("\"\\\\ud837\\\\ude00\"", "\\ud837\\ude00", 12);
    expect("\"\\ud837\\ude00\"", "\xf0\x9d\xb8\x80", 4); /* U+1DE00 */
    expect("\"\\ud836\\udc00\"", "\xf0\x9d\xa0\x80", 4); /* U+1D800 */
    buffer_done(&decoded);
    jsonstring_free(jsonstring);
}

static void test_long(void)
{
    struct jsonstring *jsonstring = jsonstring_new();
    struct buffer text = {0};
    struct buffer decoded = {0};
    (void)buffer_add(&text, "\"", 1);
    for (int i = 0; i < 100000; i++) (void)buffer_add(&text, "\\u0041b", 7);
    (void)buffer_add(&text, "\"", 1);
    jsonstring_decode(jsonstring, slice_of(text.data + 1, text.size - 2), &decoded);
    CU_ASSERT_EQUAL(decoded.size, 200000);
    CU_ASSERT_EQUAL(memcmp(decoded.data + 199998, "Ab", 2), 0);
    buffer_done(&text);
    buffer_done(&decoded);
    jsonstring_free(jsonstring);
    jsonstring_free(NULL);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("json_string", NULL, NULL);
    CU_add_test(suite, "escapes", test_escapes);
    CU_add_test(suite, "nul keeps its place", test_nul_keeps_its_place);
    CU_add_test(suite, "surrogates", test_surrogates);
    CU_add_test(suite, "every pair", test_every_pair);
    CU_add_test(suite, "long", test_long);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
