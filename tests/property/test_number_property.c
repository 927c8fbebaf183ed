/* Amounts against a naive oracle, and times against libc, over random inputs. */
#include "decimal.h"
#include "instant.h"
#include "property.h"

/* --- decimals against a naive oracle on a long line of digits --- */

#define LINE_SIZE  512
#define LINE_POINT 256 /* the digit of 10^0 stands just before it */

/* Lays the number out in plain notation; false when the exponent shifts it off the line. */
static bool lay_out(const char *whole, const char *fraction, int exponent, char line[LINE_SIZE])
{
    memset(line, '0', LINE_SIZE);
    int at = LINE_POINT - exponent - (int)strlen(whole);
    for (int part = 0; part < 2; part++) {
        for (const char *c = part == 0 ? whole : fraction; *c != '\0'; c++, at++) {
            if (*c == '0') continue;
            if (at < 0 || at >= LINE_SIZE) return false;
            line[at] = *c;
        }
    }
    return true;
}

/* The canonical text, or NULL when the number is out of range. */
static const char *oracle(const char line[LINE_SIZE], bool negative, char text[LINE_SIZE + 3])
{
    int first = 0;
    int last = LINE_SIZE - 1;
    while (first < LINE_SIZE && line[first] == '0') first++;
    if (first == LINE_SIZE) return "0";
    while (line[last] == '0') last--;
    if (last - first + 1 > 38 || first > LINE_POINT - 1 + 18 || first < LINE_POINT - 31) return NULL;
    if (first == LINE_POINT - 31 && (last != first || line[first] != '1')) return NULL;
    int begin = first < LINE_POINT ? first : LINE_POINT - 1;
    int end = last >= LINE_POINT ? last + 1 : LINE_POINT;
    bool has_fraction = end > LINE_POINT;
    (void)snprintf(text, LINE_SIZE + 3, "%s%.*s%s%.*s", negative ? "-" : "", LINE_POINT - begin, line + begin,
                   has_fraction ? "." : "", has_fraction ? end - LINE_POINT : 0, line + LINE_POINT);
    return text;
}

static void random_digits(char *to, size_t count_min, size_t count_max)
{
    size_t count = count_min + below(count_max - count_min + 1);
    size_t mostly_zero = below(2);
    for (size_t i = 0; i < count; i++) to[i] = mostly_zero && below(4) != 0 ? '0' : (char)('0' + below(10));
    to[count] = '\0';
}

static void test_decimals_against_oracle(void)
{
    char whole[64];
    char fraction[64];
    char line[LINE_SIZE];
    char expected_text[LINE_SIZE + 3];
    char found[DECIMAL_TEXT_SIZE];
    int accepted = 0;
    for (int i = 0; i < rounds; i++) {
        struct text text = {0};
        struct decimal decimal;
        random_digits(whole, 1, below(3) == 0 ? 40 : 12);
        random_digits(fraction, 0, below(3) == 0 ? 40 : 12);
        int exponent = below(2) == 0 ? 0 : (int)below(120) - 60;
        bool negative = below(2) == 0;
        add(&text, "%s%s", negative ? "-" : below(2) ? "+" : "", whole);
        if (fraction[0] != '\0') add(&text, ".%s", fraction);
        if (exponent != 0 || below(4) == 0)
            add(&text, "%c%s%d", "eE"[below(2)], exponent > 0 && below(2) ? "+" : "", exponent);
        if (!lay_out(whole, fraction, exponent, line)) abort();
        const char *expected = oracle(line, negative, expected_text);
        enum decimal_result result = decimal_parse(slice_of_whole(&text), &decimal);
        require(result == (expected == NULL ? DECIMAL_OUT_OF_RANGE : DECIMAL_OK), "another result",
                slice_of_whole(&text));
        if (expected == NULL) continue;
        (void)decimal_print(&decimal, found);
        require(strcmp(found, expected) == 0, expected, slice_of_whole(&text));
        accepted++;
    }
    CU_ASSERT(accepted > rounds / 10); /* the generator is not one-sided */
    CU_ASSERT(accepted < rounds);
}

/* --- instants --- */

/* The same instant, written by libc in another zone and form. */
static void write_time(int64_t time_us, struct text *ret_text)
{
    char date[32];
    char clock_text[32];
    struct tm parts;
    int offset_min = (int)below(2 * 1439 + 1) - 1439;
    time_t seconds = (time_t)(time_us / 1000000) + offset_min * 60;
    int minutes = abs(offset_min);
    (void)gmtime_r(&seconds, &parts);
    size_t form = below(3);
    (void)strftime(date, sizeof date, form == 0 ? "%Y-%m-%d" : form == 1 ? "%Y/%m/%d" : "%Y%m%d", &parts);
    (void)strftime(clock_text, sizeof clock_text, "%H:%M:%S", &parts);
    ret_text->size = 0;
    add(ret_text, "%s%c%s.%06d", date, "T "[below(2)], clock_text, (int)(time_us % 1000000));
    if (below(2) == 0) add(ret_text, "%03d", (int)below(1000)); /* cut off */
    if (offset_min == 0 && below(2) == 0)
        add(ret_text, "Z");
    else
        add(ret_text, "%c%02d%s%02d", offset_min < 0 ? '-' : '+', minutes / 60, below(2) ? ":" : "",
            minutes % 60);
}

static void test_instants_round_trip(void)
{
    const struct client_rules rules = {0};
    for (int i = 0; i < rounds; i++) {
        char printed[INSTANT_TEXT_SIZE];
        struct text text;
        int64_t found_us = -1;
        int64_t time_us = (int64_t)(random_bits() % (uint64_t)(INSTANT_MAX + 1));
        size_t size = instant_print(time_us, printed);
        require(instant_parse_text(slice_of(printed, size), &rules, &found_us) == INSTANT_OK &&
                    found_us == time_us,
                "round trip", slice_of(printed, size));
        write_time(time_us, &text);
        found_us = -1;
        require(instant_parse_text(slice_of_whole(&text), &rules, &found_us) == INSTANT_OK &&
                    found_us == time_us,
                "another form", slice_of_whole(&text));
    }
}

static void test_mail_dates(void)
{
    const struct client_rules rules = {0};
    for (int i = 0; i < rounds; i++) {
        char text[64];
        struct tm parts;
        int64_t found_us = -1;
        time_t seconds = (time_t)(random_bits() % (uint64_t)(INSTANT_MAX / 1000000 + 1));
        (void)gmtime_r(&seconds, &parts);
        (void)strftime(text, sizeof text, below(2) ? "%a, %d %b %Y %H:%M:%S GMT" : "%d %b %Y %H:%M:%S +0000",
                       &parts);
        enum instant_result result = instant_parse_text(slice_of_text(text), &rules, &found_us);
        require(result == INSTANT_OK && found_us == seconds * INT64_C(1000000), "mail date",
                slice_of_text(text));
    }
}

int main(void)
{
    property_begin();
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("number property", NULL, NULL);
    CU_add_test(suite, "decimals against an oracle", test_decimals_against_oracle);
    CU_add_test(suite, "instants round trip", test_instants_round_trip);
    CU_add_test(suite, "mail dates", test_mail_dates);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
