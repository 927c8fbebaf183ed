#include "console/access.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "console/call_state.h"
#include "console/console.h"
#include "console/cors.h"
#include "console/tokens.h"

static bool refuse(struct call *call, enum problem problem, const char *header, const char *detail)
{
    call_refuse(call, &(struct refusal){.problem = problem,
                                        .detail = detail,
                                        .parameter = header,
                                        .in = header != NULL ? "header" : NULL});
    return false;
}

/* "localhost:8077" names the host `name`. */
static bool host_is(const char *host, const char *name)
{
    size_t size = strlen(name);
    return strncasecmp(host, name, size) == 0 && (host[size] == '\0' || host[size] == ':');
}

/* "127.0.0.1:8077": digits and dots, up to a port. */
static bool is_loopback_number(const char *host)
{
    size_t size = strspn(host, "0123456789.");
    return strncmp(host, "127.", 4) == 0 && (host[size] == '\0' || host[size] == ':');
}

/* Without tokens whoever reaches the port may do everything, so a web site whose name was made to lead here
 * (DNS rebinding) must not reach it: its name stands in Host. */
static bool host_is_ours(const struct call *call)
{
    const char *host = call_header(call, "Host");
    if (call->console->tokens != NULL || !call->console->loopback_only || host == NULL) return true;
    return host_is(host, "localhost") || host_is(host, "[::1]") || is_loopback_number(host);
}

/* A browser tells where the page comes from that writes. TLS may end in a proxy, so either scheme will do. */
static bool origin_is_ours(const struct call *call)
{
    const char *origin = call_header(call, "Origin");
    const char *host = call_header(call, "Host");
    const char *site = call_header(call, "Sec-Fetch-Site");
    if (cors_origin(call) != NULL) return true;
    if (site != NULL && strcmp(site, "cross-site") == 0) return false;
    if (origin == NULL) return true;
    const char *sign = strstr(origin, "://");
    return sign != NULL && strncmp(origin, "http", 4) == 0 && host != NULL && strcasecmp(sign + 3, host) == 0;
}

static bool identify(struct call *call)
{
    const char *header = call_header(call, "Authorization");
    if (call->console->tokens == NULL) {
        (void)snprintf(call->actor, sizeof call->actor, "loopback");
        call->role = ROLE_OPERATOR;
        return true;
    }
    if (header != NULL && strncasecmp(header, "Bearer ", 7) == 0 &&
        tokens_find(call->console->tokens, slice_trim(slice_of_text(header + 7)), &call->role, call->actor))
        return true;
    call_answer_header(call, "WWW-Authenticate", "Bearer");
    return refuse(call, PROBLEM_UNAUTHORIZED, "Authorization",
                  header == NULL ? "the request has no Authorization header, expected: Bearer TOKEN"
                                 : "the token is not known to this console, expected: Bearer TOKEN");
}

static bool has_role(struct call *call)
{
    char detail[200];
    if (call->role >= call->route->role) return true;
    (void)snprintf(detail, sizeof detail, "%s has the role %s, expected %s", call->actor,
                   role_name(call->role), role_name(call->route->role));
    return refuse(call, PROBLEM_FORBIDDEN, NULL, detail);
}

bool access_check(struct call *call)
{
    const struct route *route = call->route;
    if (!host_is_ours(call))
        return refuse(call, PROBLEM_FOREIGN_ORIGIN, "Host",
                      "Host names another site, expected localhost or a loopback address");
    if (route->role == ROLE_NONE) return true;
    if (!identify(call) || !has_role(call)) return false;
    if (route->writes && !origin_is_ours(call))
        return refuse(call, PROBLEM_FOREIGN_ORIGIN, "Origin",
                      "the page that sends this is of another site, expected one of this console");
    if (route->writes && setting_is_on(call->console->settings->read_only))
        return refuse(call, PROBLEM_READ_ONLY, NULL, "the console runs with --read-only");
    return true;
}
