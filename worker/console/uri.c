#include "console/uri.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

void uri_init(struct uri *uri, const char *target)
{
    *uri = (struct uri){.text = strdup(target)};
    if (uri->text == NULL) abort();
    size_t size = strcspn(uri->text, "?#");
    uri->path = slice_of(uri->text, size);
    if (uri->text[size] == '?') uri->query = uri->text + size + 1;
}

void uri_done(struct uri *uri)
{
    free(uri->text);
    free(uri->sent);
    *uri = (struct uri){0};
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    return tolower((unsigned char)digit) - 'a' + 10;
}

static bool is_escape(const char *text, size_t left)
{
    return left >= 3 && isxdigit((unsigned char)text[1]) != 0 && isxdigit((unsigned char)text[2]) != 0;
}

bool uri_decode(char *text, size_t size, bool plus_is_space)
{
    size_t to = 0;
    for (size_t from = 0; from < size; from++) {
        char c = text[from];
        if (c == '+' && plus_is_space) c = ' ';
        if (c == '%') {
            if (!is_escape(text + from, size - from)) return false;
            c = (char)(hex_value(text[from + 1]) * 16 + hex_value(text[from + 2]));
            from += 2;
        }
        if (c == '\0') return false;
        text[to++] = c;
    }
    text[to] = '\0';
    return utf8_is_valid(text, to);
}

const char *uri_parameter(const struct uri *uri, const char *name)
{
    for (size_t i = 0; i < uri->parameter_count; i++) {
        if (strcmp(uri->parameters[i].name, name) == 0) return uri->parameters[i].value;
    }
    return NULL;
}

/* Takes one name=value; it is terminated already. Returns what was expected instead, NULL when it is good. */
static const char *take(struct uri *uri, char *part, const char **ret_name)
{
    static const char escapes[] = "UTF-8 with % escapes such as %20";
    static char empty[] = "";
    char *sign = strchr(part, '=');
    char *value = sign != NULL ? sign + 1 : empty;
    size_t name_size = sign != NULL ? (size_t)(sign - part) : strlen(part);
    *ret_name = NULL;
    if (!uri_decode(part, name_size, true)) return escapes;
    *ret_name = part;
    if (sign != NULL && !uri_decode(value, strlen(value), true)) return escapes;
    if (uri_parameter(uri, part) != NULL) return "each parameter once";
    if (uri->parameter_count == URI_PARAMETERS_MAX) return "at most 32 parameters";
    uri->parameters[uri->parameter_count++] = (struct uri_parameter){part, value};
    return NULL;
}

bool uri_read_query(struct uri *uri, struct uri_complaint *ret_complaint)
{
    char *rest = uri->query;
    if (rest == NULL) return true;
    uri->sent = strdup(rest);
    if (uri->sent == NULL) abort();
    for (char *part; (part = strsep(&rest, "&")) != NULL;) {
        if (*part == '\0') continue;
        ret_complaint->found = slice_of(uri->sent + (part - uri->query), strlen(part));
        ret_complaint->expected = take(uri, part, &ret_complaint->parameter);
        if (ret_complaint->expected != NULL) return false;
    }
    return true;
}
