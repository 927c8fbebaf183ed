#include "console/problem.h"

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

const char *problem_name(enum problem problem)
{
    return kinds[problem].name;
}

static void add_text(struct buffer *out, const char *text)
{
    (void)buffer_add(out, text, strlen(text));
}

static void add_member(struct buffer *out, const char *name, const char *text)
{
    if (text == NULL) return;
    add_text(out, ",\"");
    add_text(out, name);
    add_text(out, "\":");
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

void problem_print(const struct refusal *refusal, struct slice instance, struct buffer *ret_document)
{
    char shown[SHOWN_SIZE] = "";
    char head[200];
    char path[SHOWN_SIZE];
    if (refusal->found.data != NULL) show(refusal->found, shown);
    show(instance, path);
    (void)snprintf(head, sizeof head, "{\"type\":\"/docs#problem-%s\",\"title\":\"%s\",\"status\":%d",
                   kinds[refusal->problem].name, kinds[refusal->problem].title,
                   kinds[refusal->problem].status);
    add_text(ret_document, head);
    add_detail(ret_document, refusal, shown);
    add_member(ret_document, "instance", path);
    add_member(ret_document, "parameter", refusal->parameter);
    add_member(ret_document, "in", refusal->in);
    add_member(ret_document, "found", refusal->found.data != NULL ? shown : NULL);
    add_member(ret_document, "expected", refusal->expected);
    if (refusal->members != NULL) {
        add_text(ret_document, ",");
        add_text(ret_document, refusal->members);
    }
    add_text(ret_document, "}\n");
}
