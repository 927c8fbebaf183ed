#include "console/admission.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "console/access.h"
#include "console/call_state.h"
#include "console/cors.h"
#include "nearest.h"
#include "words.h"

const char *admission_method(const char *method)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (strcmp(known[i], method) == 0) return known[i];
    }
    return "an unknown method";
}

static bool refuse_route(struct call *call, const char *methods)
{
    if (methods[0] == '\0') {
        call_refuse(call,
                    &(struct refusal){.problem = PROBLEM_NOT_FOUND,
                                      .detail = "there is no such path; /openapi.json lists those that are"});
        return false;
    }
    call_answer_header(call, "Allow", methods);
    call_refuse(call, &(struct refusal){.problem = PROBLEM_METHOD,
                                        .parameter = "method",
                                        .found = slice_of_text(call->method),
                                        .expected = methods});
    return false;
}

static bool decode_captures(struct call *call, const struct slice captures[ROUTE_CAPTURES_MAX])
{
    for (size_t i = 0; i < ROUTE_CAPTURES_MAX && captures[i].data != NULL; i++) {
        call->captures[i] = strndup(captures[i].data, captures[i].size);
        if (call->captures[i] == NULL) abort();
        if (uri_decode(call->captures[i], captures[i].size, false)) continue;
        call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                            .parameter = "path",
                                            .in = "path",
                                            .found = captures[i],
                                            .expected = "UTF-8 with % escapes such as %20"});
        return false;
    }
    return true;
}

static bool find_route(struct call *call)
{
    char methods[ROUTE_METHODS_SIZE];
    struct slice captures[ROUTE_CAPTURES_MAX] = {0};
    call->route = route_find(call->method, call->uri.path, captures, methods);
    if (call->route == NULL && methods[0] != '\0' && strcmp(call->method, "OPTIONS") == 0 &&
        cors_origin(call) != NULL) {
        cors_answer_preflight(call, methods);
        return false;
    }
    return call->route != NULL ? decode_captures(call, captures) : refuse_route(call, methods);
}

static bool refuse_unknown_parameter(struct call *call, const char *name)
{
    struct nearest nearest = nearest_to(name);
    char known[300];
    char expected[400] = "no parameters";
    char *rest = known;
    (void)snprintf(known, sizeof known, "%s", call->route->parameters);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) nearest_offer(&nearest, word);
    if (nearest.name != NULL)
        (void)snprintf(expected, sizeof expected, "a parameter of this path; did you mean %s?", nearest.name);
    else if (call->route->parameters[0] != '\0')
        (void)words_list(call->route->parameters, expected, sizeof expected);
    call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                        .parameter = name,
                                        .in = "query",
                                        .found = slice_of_text(name),
                                        .expected = expected});
    return false;
}

static bool check_query(struct call *call)
{
    struct uri_complaint wrong;
    if (!uri_read_query(&call->uri, &wrong)) {
        const char *parameter = wrong.parameter != NULL ? wrong.parameter : "the query";
        call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                            .parameter = parameter,
                                            .in = "query",
                                            .found = wrong.found,
                                            .expected = wrong.expected});
        return false;
    }
    for (size_t i = 0; i < call->uri.parameter_count; i++) {
        const char *name = call->uri.parameters[i].name;
        if (!words_have_text(call->route->parameters, name)) return refuse_unknown_parameter(call, name);
    }
    return true;
}

void admission_refuse_size(struct call *call)
{
    char expected[64];
    (void)snprintf(expected, sizeof expected, "at most %zu bytes", call->route->body_bytes_max);
    call_refuse(
        call, &(struct refusal){
                  .problem = PROBLEM_TOO_LARGE, .parameter = "the body", .in = "body", .expected = expected});
}

/* Parameters of the type (charset and the like) are passed over. */
static bool takes_type(const char *expected, const char *type)
{
    char lower[64];
    size_t size = strcspn(type, "; \t");
    if (size >= sizeof lower) return false;
    for (size_t i = 0; i < size; i++) lower[i] = (char)tolower((unsigned char)type[i]);
    return words_have(expected, lower, size);
}

/* A route without a body takes one and does not look at it, up to a size. */
static bool check_media_type(struct call *call)
{
    const char *type = call_header(call, "Content-Type");
    char expected[120];
    if (call->route->media_types == NULL) return true;
    if (type != NULL && takes_type(call->route->media_types, type)) return true;
    call_refuse(
        call, &(struct refusal){.problem = PROBLEM_MEDIA_TYPE,
                                .parameter = "Content-Type",
                                .in = "header",
                                .found = slice_of_text(type != NULL ? type : ""),
                                .expected = words_list(call->route->media_types, expected, sizeof expected)});
    return false;
}

/* Nothing is unpacked: packed bytes would go to Kafka as a message that is no event. */
static bool check_coding(struct call *call)
{
    const char *coding = call_header(call, "Content-Encoding");
    bool plain = coding == NULL || *coding == '\0' || strcasecmp(coding, "identity") == 0;
    if (plain || call->route->media_types == NULL) return true;
    call_answer_header(call, "Accept-Encoding", "identity");
    call_refuse(call, &(struct refusal){.problem = PROBLEM_MEDIA_TYPE,
                                        .parameter = "Content-Encoding",
                                        .in = "header",
                                        .found = slice_of_text(coding),
                                        .expected = "identity: the body as it is, not packed"});
    return false;
}

static bool check_length(struct call *call)
{
    const char *length = call_header(call, "Content-Length");
    if (length == NULL || strtoull(length, NULL, 10) <= call->route->body_bytes_max) return true;
    admission_refuse_size(call);
    return false;
}

static bool refuse_header(struct call *call, const char *name, const char *found, const char *expected)
{
    call_answer_header(call, "Connection", "close");
    call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                        .parameter = name,
                                        .in = "header",
                                        .found = slice_of_text(found),
                                        .expected = expected});
    return false;
}

/* Where a proxy in front may see another host, or another end of the body, than is seen here (RFC 9112, 3.2,
 * 5.1 and 6.3). */
static bool check_framing(struct call *call)
{
    if (call->hosts == 0 && call->needs_host)
        return refuse_header(call, "Host", "none", "a Host header, as HTTP/1.1 wants it");
    if (call->hosts > 1) return refuse_header(call, "Host", "several", "one Host header");
    if (call->lengths > 1)
        return refuse_header(call, "Content-Length", "several", "one Content-Length header");
    if (call->lengths > 0 && call->codings > 0)
        return refuse_header(call, "Content-Length", "Content-Length and Transfer-Encoding", "one of both");
    if (call->codings > 1) return refuse_header(call, "Transfer-Encoding", "several", "one: chunked");
    if (call->unknown_codings > 0)
        return refuse_header(call, "Transfer-Encoding", "another coding", "chunked alone");
    if (call->spaced_names > 0)
        return refuse_header(call, "a header", "a space in its name",
                             "a name with the colon right behind it");
    return true;
}

bool admission_check(struct call *call)
{
    return check_framing(call) && find_route(call) && access_check(call) && check_query(call) &&
           check_media_type(call) && check_coding(call) && check_length(call);
}
