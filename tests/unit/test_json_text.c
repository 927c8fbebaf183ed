#include <CUnit/Basic.h>
#include <stdlib.h>

#include "json_text.h"

/* What the visitor was shown, as text: "key=value;" for the top level, ".key=value;" below. */
struct trace {
    struct buffer text;
    bool enter;
};

static void trace_add(struct trace *trace, struct slice text)
{
    (void)buffer_add(&trace->text, text.data, text.size);
}

static bool on_enter(void *context, const struct jsontext_token *key)
{
    struct trace *trace = context;
    trace_add(trace, slice_of_text(">"));
    trace_add(trace, key->text);
    trace_add(trace, slice_of_text(";"));
    return trace->enter;
}

static void on_member(void *context, bool inner, const struct jsontext_token *key,
                      const struct jsontext_token *value)
{
    struct trace *trace = context;
    if (inner) trace_add(trace, slice_of_text("."));
    trace_add(trace, key->text);
    trace_add(trace, slice_of_text("="));
    trace_add(trace, value->text);
    trace_add(trace, slice_of_text(";"));
}

static enum jsontext_result scan(struct slice text, struct trace *trace, struct jsontext_report *ret_report)
{
    struct jsontext scanner = {0};
    /* A copy of exactly this size lets a sanitizer see reads behind the end. */
    char *copy = malloc(text.size == 0 ? 1 : text.size);
    memcpy(copy, text.data, text.size);
    const struct jsontext_visitor visitor = {.enter = on_enter, .member = on_member, .context = trace};
    enum jsontext_result result = jsontext_scan(&scanner, slice_of(copy, text.size), &visitor, ret_report);
    jsontext_done(&scanner);
    free(copy);
    return result;
}

static void expect(const char *text, enum jsontext_result expected, size_t offset)
{
    struct trace trace = {.enter = true};
    struct jsontext_report report;
    enum jsontext_result result = scan(slice_of_text(text), &trace, &report);
    if (result != expected || report.offset != offset)
        printf("\n  %s: result %d, offset %zu", text, (int)result, report.offset);
    CU_ASSERT_EQUAL(result, expected);
    CU_ASSERT_EQUAL(report.offset, offset);
    CU_ASSERT_EQUAL(report.expected != NULL, expected == JSONTEXT_INVALID);
    buffer_done(&trace.text);
}

/* RFC 8259 */
static void test_grammatical(void)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "10",
        "-1.5",
        "1e5",
        "1E+5",
        "1.0e-5",
        "null",
        "true",
        "false",
        "\"\"",
        "[]",
        "{}",
        " [ ] ",
        "\t{\n}\r",
        "[1,2,[3,{}]]",
        "{\"a\":{\"b\":[{\"c\":null}]},\"\":0}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uFFFF\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u0000\"",
        "\"\x7f\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) expect(texts[i], JSONTEXT_OK, 0);
}

/* M-3: and the offset tells where. */
static void test_ungrammatical(void)
{
    static const struct {
        const char *text;
        size_t offset;
    } cases[] = {
        {"", 0},
        {" ", 1},
        {"-", 1},
        {"01", 1},
        {"1.", 2},
        {".1", 0},
        {"1e", 2},
        {"1e+", 3},
        {"+1", 0},
        {"0x1", 1},
        {"NaN", 0},
        {"Infinity", 0},
        {"nul", 0},
        {"True", 0},
        {"nullx", 4},
        {"[1,]", 3},
        {"[,1]", 1},
        {"[1 2]", 3},
        {"[1", 2},
        {"[", 1},
        {"]", 0},
        {"[1}", 2},
        {"{", 1},
        {"{\"a\"", 4},
        {"{\"a\":", 5},
        {"{\"a\":1", 6},
        {"{\"a\":1,}", 7},
        {"{a:1}", 1},
        {"{'a':1}", 1},
        {"{\"a\" 1}", 5},
        {"{1:1}", 1},
        {"{\"a\":1]", 6},
        {"{}{}", 2},
        {"[] x", 3},
        {"// c", 0},
        {"[1/**/]", 2},
        {"\"", 1},
        {"\"a", 2},
        {"\"\t\"", 1},
        {"\"\\x41\"", 1},
        {"\"\\", 1},
        {"\"\\u12\"", 1},
        {"\"\\u12g4\"", 1},
        {"'a'", 0},
        {"\v1", 0},
        {"\xc2\xa0"
         "1",
         0},
        {"\xef\xbb\xbf"
         "1",
         0},
        {"1\x80", 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) expect(cases[i].text, JSONTEXT_INVALID, cases[i].offset);
}

static void test_nul_is_no_end(void)
{
    struct trace trace = {0};
    struct jsontext_report report;
    CU_ASSERT_EQUAL(scan(slice_of("{}\0", 3), &trace, &report), JSONTEXT_INVALID);
    CU_ASSERT_EQUAL(report.offset, 2);
    CU_ASSERT_EQUAL(scan(slice_of("\"\0\"", 3), &trace, &report), JSONTEXT_INVALID);
    CU_ASSERT_EQUAL(scan(slice_of("\"\\\0\"", 4), &trace, &report), JSONTEXT_INVALID);
    buffer_done(&trace.text);
}

/* M-4 */
static void test_utf8(void)
{
    static const char *const bad[] = {
        "\x80",           "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",     "\xed\xa0\x80",
        "\xed\xbf\xbf",   "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
        "\xc3",           "\xe2\x82",         "\xf0\x9f\x98",     "\\ud800",          "\\udfff",
        "\\ud800\\ud800", "\\udc00\\ud800",   "\\ud800\\n",       "\\ud800\\u0041"};
    char text[64];
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        (void)snprintf(text, sizeof text, "[\"ok%s\",\"\xff\"]", bad[i]);
        expect(text, JSONTEXT_NOT_UTF8, 4);
        (void)snprintf(text, sizeof text, "[\"ok%s\"", bad[i]); /* M-3 goes before M-4 */
        expect(text, JSONTEXT_INVALID, strlen(text));
    }
    expect("\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xf0\x90\x80\x80\xe0\xa0\x80\xc2\x80\"", JSONTEXT_OK,
           0);
}

static void expect_trace(const char *text, bool enter, const char *expected)
{
    struct trace trace = {.enter = enter};
    struct jsontext_report report;
    CU_ASSERT_EQUAL(scan(slice_of_text(text), &trace, &report), JSONTEXT_OK);
    (void)buffer_add(&trace.text, "", 1);
    CU_ASSERT_STRING_EQUAL(trace.text.data, expected);
    buffer_done(&trace.text);
}

static void test_members(void)
{
    expect_trace("{\"a\":1,\"b\":\"x\",\"a\":null}", true, "a=1;b=x;a=null;");
    expect_trace("{\"a\":{\"b\":[1, 2],\"c\":{\"d\":1}},\"e\":[{\"f\":1}]}", true,
                 ">a;.b=[1, 2];.c={\"d\":1};a={\"b\":[1, 2],\"c\":{\"d\":1}};e=[{\"f\":1}];");
    expect_trace("{\"a\":{\"b\":1},\"c\":{}}", false, ">a;a={\"b\":1};>c;c={};");
    expect_trace("[{\"a\":{\"b\":1}}]", true, "");
    expect_trace("{\"a\":[{\"b\":{\"c\":1}}],\"d\":{\"e\":1}}", true,
                 "a=[{\"b\":{\"c\":1}}];>d;.e=1;d={\"e\":1};");
    expect_trace("7", true, "");
}

/* M-6: iterative, so a million levels need no stack. */
static void test_depth(void)
{
    size_t levels = 1 << 20;
    char *text = malloc(2 * levels);
    struct trace trace = {0};
    struct jsontext_report report;
    memset(text, '[', levels);
    memset(text + levels, ']', levels);
    CU_ASSERT_EQUAL(scan(slice_of(text, 2 * levels), &trace, &report), JSONTEXT_OK);
    CU_ASSERT_EQUAL(report.depth, levels);
    CU_ASSERT_EQUAL(report.kind, JSONTEXT_ARRAY);
    CU_ASSERT_EQUAL(scan(slice_of(text, 2 * levels - 1), &trace, &report), JSONTEXT_INVALID);
    CU_ASSERT_EQUAL(report.offset, 2 * levels - 1);
    CU_ASSERT_EQUAL(scan(slice_of(text, levels), &trace, &report), JSONTEXT_INVALID);
    free(text);
    CU_ASSERT_EQUAL(scan(slice_of_text("{\"a\":[[],{}],\"b\":[]}"), &trace, &report), JSONTEXT_OK);
    CU_ASSERT_EQUAL(report.depth, 3);
    CU_ASSERT_EQUAL(scan(slice_of_text("1"), &trace, &report), JSONTEXT_OK);
    CU_ASSERT_EQUAL(report.depth, 0);
    buffer_done(&trace.text);
}

/* Brackets must match in kind, however they are mixed. */
static void test_mixed_levels(void)
{
    char text[401];
    size_t size = 0;
    struct trace trace = {0};
    struct jsontext_report report;
    for (int i = 0; i < 50; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s", i % 3 == 0 ? "{\"\":" : "[");
    for (int i = 49; i >= 0; i--)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s",
                                 i == 49      ? "1]"
                                 : i % 3 == 0 ? "}"
                                              : "]");
    CU_ASSERT_EQUAL(scan(slice_of_text(text), &trace, &report), JSONTEXT_OK);
    char *last = strrchr(text, ']');
    *last = '}';
    CU_ASSERT_EQUAL(scan(slice_of_text(text), &trace, &report), JSONTEXT_INVALID);
    CU_ASSERT_EQUAL(report.offset, (size_t)(last - text));
    buffer_done(&trace.text);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("json_text", NULL, NULL);
    CU_add_test(suite, "grammatical", test_grammatical);
    CU_add_test(suite, "ungrammatical", test_ungrammatical);
    CU_add_test(suite, "nul is no end", test_nul_is_no_end);
    CU_add_test(suite, "utf8", test_utf8);
    CU_add_test(suite, "members", test_members);
    CU_add_test(suite, "depth", test_depth);
    CU_add_test(suite, "mixed levels", test_mixed_levels);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
