// link: worker/wrap.c
#include <CUnit/Basic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wrap.h"

static const char *wrapped(size_t column, size_t indent, const char *text)
{
    static char kept[1024];
    struct buffer to = {0};
    wrap_text(&to, column, indent, text);
    CU_ASSERT_TRUE(to.size < sizeof kept);
    memcpy(kept, to.data, to.size);
    kept[to.size] = '\0';
    buffer_done(&to);
    return kept;
}

static void test_breaks_between_words(void)
{
    CU_ASSERT_STRING_EQUAL(wrapped(0, 0, ""), "\n");
    CU_ASSERT_STRING_EQUAL(wrapped(0, 0, "a b"), "a b\n");
    CU_ASSERT_STRING_EQUAL(wrapped(76, 2, "abc d"), "abc\n  d\n"); /* 79 columns are full then */
    CU_ASSERT_STRING_EQUAL(wrapped(76, 2, "a b"), "a b\n");
    CU_ASSERT_STRING_EQUAL(wrapped(76, 2, "\xc3\xa4 \xc3\xb6"), "\xc3\xa4 \xc3\xb6\n"); /* characters count */
    CU_ASSERT_STRING_EQUAL(wrapped(90, 2, "long word"), "long\n  word\n");
    CU_ASSERT_STRING_EQUAL(wrapped(0, 2, "one\ntwo"), "one\n  two\n");
}

static void test_breaks_at_another_width(void)
{
    struct buffer to = {0};
    wrap_text_to(&to, 12, 4, 6, "one two three");
    wrap_text_to(&to, SIZE_MAX, 4, 6, "one two three");
    CU_ASSERT_EQUAL(to.size, strlen("one two\n      three\none two three\n"));
    CU_ASSERT_EQUAL(strncmp(to.data, "one two\n      three\none two three\n", to.size), 0);
    buffer_done(&to);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("wrap", NULL, NULL);
    CU_add_test(suite, "breaks between words", test_breaks_between_words);
    CU_add_test(suite, "breaks at another width", test_breaks_at_another_width);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
