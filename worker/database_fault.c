/* libpq 15 tells the SQLSTATE of a refused connection nowhere but in its text, and there only with verbose
 * errors: "connection to server at ... failed: FATAL:  28P01: password authentication failed for user ...".
 * With several hosts there are several lines; the last SQLSTATE decides, it is that of the last host that
 * answered. Refusals without an SQLSTATE are libpq's own and are known by their words, which are English:
 * winnow sets no locale. */
#include "database_fault.h"

#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "sqlstate.h"

#define DETAIL_BYTES_MAX 160

static bool is_sqlstate(const char *text)
{
    for (size_t i = 0; i < 5; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z'))) return false;
    }
    return text[5] == ':' && text[6] == ' ';
}

static void connect_sqlstate(const char *message, char ret_sqlstate[6])
{
    ret_sqlstate[0] = '\0';
    for (const char *at = strstr(message, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        if (is_sqlstate(at + 3)) (void)snprintf(ret_sqlstate, 6, "%.5s", at + 3);
    }
}

/* libpq's message in one line, without what verbose errors add. */
static void message_line(const char *message, char *out, size_t out_size)
{
    size_t size = 0;
    bool space = false;
    for (const char *at = message; *at != '\0' && size + 3 < out_size; at++) {
        if (strncmp(at, "LOCATION:", 9) == 0) at += strcspn(at, "\n");
        if (space && is_sqlstate(at)) at += 6; /* and "FATAL: ", which looks like one */
        if (at[0] == '\n' && at[1] == '\t') out[size++] = '.';
        const bool is_space = *at == '\0' || *at == ' ' || *at == '\n' || *at == '\t';
        if (!is_space && space && size > 0) out[size++] = ' ';
        if (!is_space) out[size++] = *at;
        space = is_space;
        if (*at == '\0') break;
    }
    out[size] = '\0';
}

/* Refusals that libpq finds itself: no SQLSTATE tells them from a network that is down. */
static const char *local_refusal_advice(const char *message)
{
    static const char *const texts[][2] = {
        {"no password supplied", "give a password (PGPASSWORD, PGPASSFILE, or in -d)"},
        {"certificate", "check sslmode, sslrootcert, sslcert and sslkey"},
        {"private key", "check sslkey and the permissions of its file"},
        {"does not support SSL", "set sslmode=prefer, or switch SSL on in the server"},
        {"channel binding", "check channel_binding"},
        {"authentication method", "libpq cannot log in the way the server's pg_hba.conf asks for"},
        {"invalid ", "check -d and the PG* environment variables"},
        {"service file", "check PGSERVICE and PGSERVICEFILE"},
        {"definition of service", "check PGSERVICE and PGSERVICEFILE"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (strstr(message, texts[i][0]) != NULL) return texts[i][1];
    }
    return NULL;
}

void fault_from_connect(struct fault *ret_fault, const char *message)
{
    char sqlstate[6];
    char text[FAULT_TEXT_SIZE - 160];
    connect_sqlstate(message, sqlstate);
    message_line(message, text, sizeof(text));
    const bool told = sqlstate[0] != '\0';
    const char *advice = told ? sqlstate_advice(sqlstate) : local_refusal_advice(message);
    enum status status = advice == NULL ? STATUS_RETRY : STATUS_STOP;
    if (told) status = sqlstate_status(sqlstate, false);
    /* No data is involved in connecting, nor is anything in doubt yet. */
    if (status == STATUS_REJECT || status == STATUS_FATAL) status = STATUS_RETRY;
    if (!told && advice == NULL) {
        advice = "check -d, or PGHOST and PGPORT, and whether the server runs";
        char *question = strstr(text, ". Is the server running");
        if (question != NULL) *question = '\0';
    }
    const bool advised = status == STATUS_STOP || !told;
    fault_set(ret_fault, status, "connect", "cannot connect to PostgreSQL: %s%s%s", text, advised ? "; " : "",
              advised ? advice : "");
    memcpy(ret_fault->sqlstate, sqlstate, sizeof(sqlstate));
}

void fault_from_conninfo(struct fault *ret_fault, const char *message)
{
    fault_set(ret_fault, STATUS_STOP, "connect",
              "the database setting is neither a conninfo (\"host=... dbname=...\") nor a postgresql:// URI "
              "(libpq: "
              "%.*s...); check -d and WINNOW_DATABASE",
              (int)strcspn(message, "\"\n"), message);
}

void fault_from_server(struct fault *ret_fault, const char *site, const struct server_error *error)
{
    const enum status status = sqlstate_status(error->sqlstate, error->constraint[0] != '\0');
    const char *advice = status == STATUS_STOP ? sqlstate_advice(error->sqlstate) : "";
    const char *detail = strlen(error->detail) > DETAIL_BYTES_MAX ? "" : error->detail;
    fault_set(ret_fault, status, site, "PostgreSQL: %.*s%s%s%s%s", (int)strcspn(error->message, "\n"),
              error->message, detail[0] != '\0' ? ": " : "", detail, advice[0] != '\0' ? "; " : "", advice);
    (void)snprintf(ret_fault->sqlstate, sizeof(ret_fault->sqlstate), "%.5s", error->sqlstate);
}

void fault_from_loss(struct fault *ret_fault, const char *site, const char *message)
{
    char text[FAULT_TEXT_SIZE - 64];
    message_line(message, text, sizeof(text));
    fault_set(ret_fault, STATUS_RETRY, site, "connection to PostgreSQL lost: %s", text);
}

bool server_error_ends_session(const struct server_error *error)
{
    return strncmp(error->sqlstate, "08", 2) == 0 || strncmp(error->sqlstate, "57P0", 4) == 0 ||
           strcmp(error->sqlstate, "25006") == 0 || strcmp(error->severity, "FATAL") == 0 ||
           strcmp(error->severity, "PANIC") == 0;
}
