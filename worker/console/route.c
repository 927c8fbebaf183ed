#include "console/route.h"

#include <string.h>

#include "console/routes.h"

#define MIB    ((size_t)1024 * 1024)
#define KIB    ((size_t)1024)
#define JSON   "application/json"
#define NDJSON "application/x-ndjson"

/* A body that means nothing: some clients send an empty object. */
#define PASSED_OVER (KIB * 16)

const struct route routes[] = {
    {"GET", "/livez", ROUTE_INLINE, ROLE_NONE, false, handle_livez, "", NULL, PASSED_OVER},
    {"GET", "/openapi.json", ROUTE_INLINE, ROLE_NONE, false, handle_document, "", NULL, PASSED_OVER},
    {"GET", "/docs", ROUTE_INLINE, ROLE_NONE, false, handle_document, "", NULL, PASSED_OVER},
    {"GET", "/docs.js", ROUTE_INLINE, ROLE_NONE, false, handle_document, "", NULL, PASSED_OVER},
    {"GET", "/docs.css", ROUTE_INLINE, ROLE_NONE, false, handle_document, "", NULL, PASSED_OVER},
    {"POST", "/api/v1/events", ROUTE_LATER, ROLE_SUBMITTER, true, handle_submit, "wait", JSON " " NDJSON,
     4 * MIB},
    {"POST", "/api/v1/explain", ROUTE_WORK, ROLE_VIEWER, false, handle_explain, "", JSON, 2 * MIB},
    {"GET", "/api/v1/status", ROUTE_WORK, ROLE_VIEWER, false, handle_status, "", NULL, PASSED_OVER},
    {"GET", "/api/v1/completeness", ROUTE_WORK, ROLE_VIEWER, false, handle_completeness, "", NULL,
     PASSED_OVER},
    {"GET", "/api/v1/workers", ROUTE_WORK, ROLE_VIEWER, false, handle_workers, "", NULL, PASSED_OVER},
    {"GET", "/api/v1/messages/{partition}/{offset}/raw", ROUTE_WORK, ROLE_VIEWER, false, handle_raw, "", NULL,
     PASSED_OVER},
    {"GET", "/api/v1/live", ROUTE_LIVE, ROLE_VIEWER, false, handle_live, "sample", NULL, PASSED_OVER},
    {"POST", "/api/v1/faults/database-outage", ROUTE_WORK, ROLE_OPERATOR, true, handle_outage, "", JSON,
     64 * KIB},
    {"GET", "/api/v1/session", ROUTE_INLINE, ROLE_VIEWER, false, handle_session, "", NULL, PASSED_OVER},
    {"GET", "/api/v1/events", ROUTE_WORK, ROLE_VIEWER, false, handle_events,
     "client metric from to amount_min amount_max hash q limit cursor format", NULL, PASSED_OVER},
    {"GET", "/api/v1/events/{hash}", ROUTE_WORK, ROLE_VIEWER, false, handle_event, "event_time", NULL,
     PASSED_OVER},
    {"GET", "/api/v1/messages/{partition}/{offset}", ROUTE_WORK, ROLE_VIEWER, false, handle_message_state,
     "event_hash event_time", NULL, PASSED_OVER},
    {"GET", "/api/v1/aggregates", ROUTE_WORK, ROLE_VIEWER, false, handle_aggregates,
     "by client metric from to q limit format", NULL, PASSED_OVER},
    {"GET", "/api/v1/failed", ROUTE_WORK, ROLE_VIEWER, false, handle_failed_groups,
     "reason client state from to", NULL, PASSED_OVER},
    {"GET", "/api/v1/failed/items", ROUTE_WORK, ROLE_VIEWER, false, handle_failed_items,
     "reason client state from to limit cursor", NULL, PASSED_OVER},
    {"GET", "/api/v1/failed/actions", ROUTE_WORK, ROLE_VIEWER, false, handle_failed_actions, "limit cursor",
     NULL, PASSED_OVER},
    {"POST", "/api/v1/failed/retry", ROUTE_WORK, ROLE_OPERATOR, true, handle_failed_group_retry, "", JSON,
     MIB / 64},
    {"POST", "/api/v1/failed/discard", ROUTE_WORK, ROLE_OPERATOR, true, handle_failed_group_discard, "", JSON,
     MIB / 64},
    {"POST", "/api/v1/failed/undo", ROUTE_WORK, ROLE_OPERATOR, true, handle_failed_group_undo, "", JSON,
     MIB / 64},
    {"GET", "/api/v1/failed/{partition}/{offset}", ROUTE_WORK, ROLE_VIEWER, false, handle_failed_item, "",
     NULL, PASSED_OVER},
    {"POST", "/api/v1/failed/{partition}/{offset}/retry", ROUTE_WORK, ROLE_OPERATOR, true,
     handle_failed_retry, "wait", JSON, 4 * MIB},
    {"POST", "/api/v1/failed/{partition}/{offset}/discard", ROUTE_WORK, ROLE_OPERATOR, true,
     handle_failed_discard, "", JSON, MIB / 64},
    {"POST", "/api/v1/failed/{partition}/{offset}/undo", ROUTE_WORK, ROLE_OPERATOR, true, handle_failed_undo,
     "", NULL, PASSED_OVER},
};
const size_t route_count = sizeof routes / sizeof routes[0];

/* Anything else that is asked for is a file of the page, or not there. */
static const struct route page_route = {"GET",       "/", ROUTE_INLINE, ROLE_NONE,  false,
                                        handle_page, "",  NULL,         PASSED_OVER};

/* Compares segment by segment; what stands for a {…} must not be empty. */
static bool matches(const char *pattern, struct slice path, struct slice captures[ROUTE_CAPTURES_MAX])
{
    size_t count = 0;
    size_t at = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (at == path.size || path.data[at++] != *pattern++) return false;
            continue;
        }
        const char *slash = memchr(path.data + at, '/', path.size - at);
        size_t size = slash != NULL ? (size_t)(slash - path.data) - at : path.size - at;
        if (size == 0 || count == ROUTE_CAPTURES_MAX) return false;
        captures[count++] = slice_of(path.data + at, size);
        at += size;
        pattern += strcspn(pattern, "}") + 1;
    }
    return at == path.size;
}

static bool takes(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void add_method(char *methods, const char *method)
{
    if (strstr(methods, method) != NULL) return;
    if (methods[0] != '\0') strncat(methods, ", ", ROUTE_METHODS_SIZE - strlen(methods) - 1);
    strncat(methods, strcmp(method, "GET") == 0 ? "GET, HEAD" : method,
            ROUTE_METHODS_SIZE - strlen(methods) - 1);
}

const struct route *route_find(const char *method, struct slice path,
                               struct slice captures[ROUTE_CAPTURES_MAX],
                               char ret_methods[ROUTE_METHODS_SIZE])
{
    ret_methods[0] = '\0';
    for (size_t i = 0; i < route_count; i++) {
        if (!matches(routes[i].path, path, captures)) continue;
        if (takes(&routes[i], method)) return &routes[i];
        add_method(ret_methods, routes[i].method);
    }
    if (ret_methods[0] != '\0' || (path.size >= 5 && memcmp(path.data, "/api/", 5) == 0)) return NULL;
    if (takes(&page_route, method)) return &page_route;
    add_method(ret_methods, page_route.method);
    return NULL;
}
