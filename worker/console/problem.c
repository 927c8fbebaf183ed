#include "console/problem.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "print_json.h"
#include "reject.h"

#define SHOWN_SIZE 400 /* of what was found: 80 bytes, each escaped at worst as four, and the end */

static const struct {
    const char *name;
    int status;
    const char *title;
} kinds[PROBLEM_COUNT] = {
#define PROBLEM_KIND(symbol, name, status, title) [symbol] = {name, status, title},
    PROBLEMS(PROBLEM_KIND)
#undef PROBLEM_KIND
};

int problem_status(enum problem problem)
{
    return kinds[problem].status;
}

static void add_member(struct buffer *out, const char *name, const char *text)
{
    if (text == NULL) return;
    buffer_add_text(out, ",\"");
    buffer_add_text(out, name);
    buffer_add_text(out, "\":");
    json_add_string(out, slice_of_text(text));
}

/* Cut where a character ends, as reject_escape() would show the first bytes of one that was cut. */
static void show(struct slice found, char ret_shown[SHOWN_SIZE])
{
    size_t size = found.size < REJECT_FOUND_BYTES_MAX ? found.size : REJECT_FOUND_BYTES_MAX;
    while (size > 0 && size < found.size && ((unsigned char)found.data[size] & 0xC0) == 0x80) size--;
    size_t shown = reject_escape(slice_of(found.data, size), ret_shown, SHOWN_SIZE - 4);
    if (size < found.size) memcpy(ret_shown + shown, "...", 4);
}

/* "limit: found "0", expected a whole number from 1 to 1000". */
static void add_detail(struct buffer *out, const struct refusal *refusal, const char *shown)
{
    char detail[1024];
    if (refusal->detail != NULL) {
        add_member(out, "detail", refusal->detail);
        return;
    }
    const char *parameter = refusal->parameter != NULL ? refusal->parameter : "the request";
    if (refusal->found.data == NULL)
        (void)snprintf(detail, sizeof detail, "%s: expected %s", parameter, refusal->expected);
    else
        (void)snprintf(detail, sizeof detail, "%s: found \"%s\", expected %s", parameter, shown,
                       refusal->expected);
    add_member(out, "detail", detail);
}

/* A reference must hold nothing but what RFC 3986 lets stand in a path; the rest is escaped as it asks. */
static void add_instance(struct buffer *out, struct slice path)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@!$&'()*+,;=";
    (void)buffer_add(out, ",\"instance\":\"", 13);
    for (size_t i = 0; i < path.size; i++) {
        char escaped[4];
        unsigned char byte = (unsigned char)path.data[i];
        bool escape = byte == '%' && path.size - i > 2 && isxdigit((unsigned char)path.data[i + 1]) != 0 &&
                      isxdigit((unsigned char)path.data[i + 2]) != 0;
        if (escape || (byte != '\0' && strchr(plain, byte) != NULL)) {
            (void)buffer_add(out, &path.data[i], 1);
        } else {
            (void)snprintf(escaped, sizeof escaped, "%%%02X", byte);
            (void)buffer_add(out, escaped, 3);
        }
    }
    (void)buffer_add(out, "\"", 1);
}

void problem_print(const struct refusal *refusal, struct slice instance, struct buffer *ret_document)
{
    char shown[SHOWN_SIZE] = "";
    char head[200];
    if (refusal->found.data != NULL) show(refusal->found, shown);
    (void)snprintf(head, sizeof head, "{\"type\":\"/docs#problem-%s\",\"title\":\"%s\",\"status\":%d",
                   kinds[refusal->problem].name, kinds[refusal->problem].title,
                   kinds[refusal->problem].status);
    buffer_add_text(ret_document, head);
    add_detail(ret_document, refusal, shown);
    add_instance(ret_document, instance);
    add_member(ret_document, "parameter", refusal->parameter);
    add_member(ret_document, "in", refusal->in);
    add_member(ret_document, "found", refusal->found.data != NULL ? shown : NULL);
    add_member(ret_document, "expected", refusal->expected);
    if (refusal->members != NULL) {
        buffer_add_text(ret_document, ",");
        buffer_add_text(ret_document, refusal->members);
    }
    buffer_add_text(ret_document, "}\n");
}
