#include "reject.h"

#include <stdio.h>

#include "utf8.h"

static const struct {
    const char *name;
    const char *sentence;
} reasons[] = {
#define REJECT_TEXTS(symbol, name, sentence) [symbol] = {name, sentence},
    REJECT_REASONS(REJECT_TEXTS)
#undef REJECT_TEXTS
};

const char *reject_name(enum reject_reason reason)
{
    return reasons[reason].name;
}

const char *reject_sentence(enum reject_reason reason)
{
    return reasons[reason].sentence;
}

/* The printable form of the character at `at`. Returns how many bytes of the text it stands for. */
static size_t escape_one(const char *at, const char *end, struct slice *ret_shown, char scratch[8])
{
    size_t size = utf8_size(at, end);
    if (size > 0 && !utf8_steers(at, size)) {
        *ret_shown = slice_of(at, size);
        return size;
    }
    unsigned char byte = (unsigned char)*at;
    int shown = 0;
    if (byte == '\n')
        shown = snprintf(scratch, 8, "\\n");
    else if (byte == '\r')
        shown = snprintf(scratch, 8, "\\r");
    else if (byte == '\t')
        shown = snprintf(scratch, 8, "\\t");
    else if (size > 1)
        shown = snprintf(scratch, 8, "\\u%04x", utf8_code_point(at, size) & 0xFFFFu);
    else
        shown = snprintf(scratch, 8, "\\x%02x", byte);
    *ret_shown = slice_of(scratch, (size_t)shown);
    return size == 0 ? 1 : size;
}

size_t reject_escape(struct slice text, char *out, size_t out_size)
{
    if (out_size == 0) return 0;
    size_t length = 0;
    char scratch[8];
    struct slice shown;
    for (size_t at = 0; at < text.size;) {
        at += escape_one(text.data + at, text.data + text.size, &shown, scratch);
        if (shown.size >= out_size - length) break;
        memcpy(out + length, shown.data, shown.size);
        length += shown.size;
    }
    out[length] = '\0';
    return length;
}

/* At most REJECT_FOUND_BYTES_MAX bytes, and no character torn apart. */
static struct slice cut(struct slice text)
{
    if (text.size <= REJECT_FOUND_BYTES_MAX) return text;
    size_t size = REJECT_FOUND_BYTES_MAX;
    for (size_t back = 1; back <= 3; back++) {
        size_t character = utf8_size(text.data + size - back, text.data + text.size);
        if (character > back) return slice_of(text.data, size - back);
        if (character > 0) break;
    }
    return slice_of(text.data, size);
}

void reject_set(struct reject *reject, enum reject_reason reason, const char *rule, const char *field,
                struct slice found, const char *expected)
{
    char shown[REJECT_FOUND_BYTES_MAX * 4 + 1]; /* \xNN is the longest escape of a byte */
    reject->reason = reason;
    if (found.data == NULL) {
        (void)snprintf(reject->detail, sizeof reject->detail, "%s: %s: expected %s", rule, field, expected);
        return;
    }
    struct slice kept = cut(found);
    (void)reject_escape(kept, shown, sizeof shown);
    (void)snprintf(reject->detail, sizeof reject->detail, "%s: %s: found %s%s, expected %s", rule, field,
                   shown, kept.size < found.size ? "..." : "", expected);
}
