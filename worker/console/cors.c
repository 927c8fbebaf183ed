#include "console/cors.h"

#include <string.h>

#include "console/call_state.h"
#include "console/console.h"

bool cors_is_on(const struct call *call)
{
    return call->console->settings->cors_origins != NULL;
}

const char *cors_origin(const struct call *call)
{
    const char *origin = call_header(call, "Origin");
    const char *at = call->console->settings->cors_origins;
    if (origin == NULL || at == NULL) return NULL;
    for (size_t size = strlen(origin); *at != '\0'; at += *at == ',') {
        size_t length = strcspn(at, ",");
        if (length == size && memcmp(at, origin, size) == 0) return origin;
        at += length;
    }
    return NULL;
}

void cors_answer_preflight(struct call *call, const char *methods)
{
    call_answer(call, 204, NULL);
    call_answer_header(call, "Access-Control-Allow-Methods", methods);
    call_answer_header(call, "Access-Control-Allow-Headers",
                       "Authorization, Content-Type, Last-Event-ID, Winnow-Simulate-Failure");
    call_answer_header(call, "Access-Control-Max-Age", "600");
}
