#include "console/message_json.h"

#include "headers.h"
#include "json.h"
#include "reject.h"
#include "utf8.h"

void json_message_text(struct buffer *out, const char *name, struct slice bytes)
{
    bool readable = bytes.data != NULL && utf8_is_valid(bytes.data, bytes.size);
    json_slice(out, name, readable ? bytes : slice_of(NULL, 0));
}

static void add_header(struct buffer *out, struct slice name, struct slice value)
{
    char escaped[REJECT_DETAIL_SIZE];
    json_open(out, '{');
    if (!utf8_is_valid(name.data, name.size))
        name = slice_of(escaped, reject_escape(name, escaped, sizeof escaped));
    json_slice(out, "name", name);
    json_message_text(out, "value_text", value);
    json_close(out, '}');
}

void json_message_headers(struct buffer *out, struct slice headers)
{
    struct slice name;
    struct slice value;
    json_name(out, "headers");
    json_open(out, '[');
    while (headers.data != NULL && headers_next(&headers, &name, &value)) add_header(out, name, value);
    json_close(out, ']');
}
