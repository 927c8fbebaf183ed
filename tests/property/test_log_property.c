// link: worker/log_format.c
/* Any text as a line of the log: one line, within its limit, and valid JSON where that was asked for. */
#include "json_text.h"
#include "log_format.h"
#include "property.h"
#include "utf8.h"

const char *log_level_name(enum log_level level)
{
    return level == LOG_LEVEL_ERROR ? "error" : "debug";
}

/* Whatever can go wrong, often: quotes, escapes, control characters, broken and whole UTF-8, long runs. */
static void fill(char *text, size_t size)
{
    static const char *const pieces[] = {"\"",       "\\",           "\n",       "\r",       "\x1b[31m",
                                         "\x7f",     "\x80",         "\xc2\x9b", "\xc3",     "\xc3\xa9",
                                         "\xe2\x82", "\xe2\x80\xa8", "\xf0\x9f", "\xff\xfe", "\xed\xa0\x80"};
    size_t used = 0;
    while (used < size) {
        const char *piece = pieces[below(ARRAY_COUNT(pieces))];
        char byte[2] = {(char)(1 + below(255)), '\0'};
        if (below(2) == 0) piece = byte;
        for (size_t again = below(4) == 0 ? below(50) : 1; again > 0; again--) {
            for (const char *c = piece; *c != '\0' && used < size; c++) text[used++] = *c;
        }
    }
    text[used] = '\0';
}

static bool enter_nothing(void *context, const struct jsontext_token *key)
{
    (void)context;
    (void)key;
    return false;
}

static void count_member(void *context, bool inner, const struct jsontext_token *key,
                         const struct jsontext_token *value)
{
    (void)inner;
    (void)key;
    (void)value;
    ++*(int *)context;
}

static void test_lines(void)
{
    static char text[6000];
    static const char *const roles[] = {"", "pool", "worker 3", "house keeper"};
    int members;
    const struct jsontext_visitor counter = {enter_nothing, count_member, &members};
    struct jsontext scanner = {0};
    for (int i = 0; i < rounds; i++) {
        char line[LOG_LINE_SIZE];
        struct jsontext_report report;
        fill(text, below(10) == 0 ? below(sizeof text) : below(200));
        const struct log_record record = {
            .wall_ms = (int64_t)below(4102444800000),
            .level = (enum log_level)below(4),
            .pid = (int)below(4194304),
            .role = roles[below(ARRAY_COUNT(roles))],
            .event = "some_event",
            .text = text,
            .is_cut = below(2) == 0,
            .suppressed = below(2) == 0 ? random_bits() : 0,
            .lost = below(2) == 0 ? random_bits() : 0,
        };
        const enum log_format format = (enum log_format)below(3);
        const size_t size = log_format(format, &record, line);
        const struct slice whole = slice_of(line, size);
        require(size <= LOG_LINE_SIZE && line[size - 1] == '\n', "ends its line", whole);
        require(memchr(line, '\n', size) == line + size - 1, "is one line", whole);
        require(utf8_is_valid(line, size), "is UTF-8", whole);
        for (size_t at = 0; at < size - 1; at++) require((unsigned char)line[at] >= 0x20, "is shown", whole);
        if (format != LOG_FORMAT_JSON) continue;
        members = 0;
        require(jsontext_scan(&scanner, slice_of(line, size), &counter, &report) == JSONTEXT_OK, "is JSON",
                whole);
        require(members >= 5 && members <= 9, "has its members", whole);
    }
    jsontext_done(&scanner);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    property_begin();
    CU_pSuite suite = CU_add_suite("log", NULL, NULL);
    CU_add_test(suite, "lines", test_lines);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
