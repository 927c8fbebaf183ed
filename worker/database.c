/* libpq's blocking calls know no deadline: PQexec() on a connection whose server froze waits until TCP gives
 * up, and PQconnectdb() cannot be interrupted. So everything here sends, waits in poll(2) up to a deadline of
 * its own, and reads what is there. What misses its deadline loses the connection, because nothing else is
 * certain: the statement may still be running or may have committed, and only the next session can find out.
 *
 * A stop signal ends waits that do no work (connecting, and statements without a deadline). A statement with
 * a deadline is waited for: it is about to commit, and ending it would only make its outcome unknown; but not
 * in a session that only looks (.stoppable). */
#include "database.h"

#include <assert.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "database_conninfo.h"
#include "database_fault.h"
#include "database_session.h"
#include "socket_wait.h"

#define CONNECT_TIMEOUT_MS_DEFAULT 5000
#define ANSWER_GRACE_MS            5000 /* the server cancels first, and then tells */
#define WAITING_MS                 250
#define PARAMETERS_MAX             40

struct decoded {
    struct decoded *next;
    unsigned char *bytes;
};

struct rows {
    PGresult *result;
    struct decoded *decoded;
};

struct database {
    PGconn *connection; /* NULL once it was dropped; libpq's functions take that as a broken one */
    int64_t statement_timeout_ms;
    struct database_listener listener;
    const char *site;
    int64_t deadline_ms;
    bool stoppable;
    bool busy;
    bool unsent;       /* bytes that the socket did not take yet */
    bool broken;       /* no further statement can run */
    PGresult *answer;  /* the last good result */
    PGresult *refusal; /* the first error */
};

/* The field of a result's error, "" when it has none. */
static const char *error_field(const PGresult *result, int field)
{
    const char *text = PQresultErrorField(result, field);
    return text == NULL ? "" : text;
}

static struct server_error read_error(const PGresult *result)
{
    return (struct server_error){
        .sqlstate = error_field(result, PG_DIAG_SQLSTATE),
        .severity = error_field(result, PG_DIAG_SEVERITY_NONLOCALIZED),
        .message = error_field(result, PG_DIAG_MESSAGE_PRIMARY),
        .detail = error_field(result, PG_DIAG_MESSAGE_DETAIL),
        .constraint = error_field(result, PG_DIAG_CONSTRAINT_NAME),
    };
}

struct keywords {
    const char *names[16];
    const char *values[16];
    size_t count;
};

static void add_keyword(struct keywords *keywords, const char *name, const char *value)
{
    assert(keywords->count + 1 < ARRAY_COUNT(keywords->names));
    keywords->names[keywords->count] = name;
    keywords->values[keywords->count++] = value;
}

static bool environment_has(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

/* libpq's message may quote any part of the conninfo, so passwords too: what stands in quotes is left out. */
bool database_check_conninfo(const char *conninfo, bool *ret_names_service, struct fault *ret_fault)
{
    *ret_names_service = environment_has("PGSERVICE");
    if (!conninfo_is(conninfo)) return true;
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &message);
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
        if (option->val != NULL && strcmp(option->keyword, "service") == 0) *ret_names_service = true;
    }
    if (options == NULL) fault_from_conninfo(ret_fault, message == NULL ? "out of memory" : message);
    PQfreemem(message);
    PQconninfoFree(options);
    return options != NULL;
}

/* What stands before dbname gives way to what the conninfo says, what stands behind it does not. libpq
 * applies the environment and service files last, so our defaults have to step aside for those by themselves.
 */
static void collect_keywords(const struct database_options *options, bool names_service, struct keywords *ret)
{
    if (!names_service) {
        const bool chosen = environment_has("PGTARGETSESSIONATTRS");
        add_keyword(ret, "target_session_attrs", chosen || options->read_only ? NULL : "read-write");
        add_keyword(ret, "keepalives_idle", "10");
        add_keyword(ret, "keepalives_interval", "5");
        add_keyword(ret, "keepalives_count", "3");
        add_keyword(ret, "tcp_user_timeout", "10000");
    }
    add_keyword(ret, "dbname", options->conninfo);
    add_keyword(ret, "fallback_application_name", options->application_name);
    add_keyword(ret, "client_encoding", "UTF8");
}

/* A connect_timeout of the conninfo, the environment or a service file wins. */
static int64_t host_timeout_ms(PGconn *connection, int64_t timeout_ms)
{
    PQconninfoOption *options = PQconninfo(connection);
    if (timeout_ms <= 0) timeout_ms = CONNECT_TIMEOUT_MS_DEFAULT;
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
        if (option->val == NULL || strcmp(option->keyword, "connect_timeout") != 0) continue;
        const long seconds = strtol(option->val, NULL, 10);
        if (seconds > 0) timeout_ms = seconds * INT64_C(1000);
    }
    PQconninfoFree(options);
    return timeout_ms;
}

/* Brings a started connection to its end. A host that does not answer is given up by closing the socket under
 * libpq, which then takes the next one of the list, or fails. */
static bool finish_connecting(PGconn *connection, int64_t timeout_ms, struct fault *ret_fault)
{
    bool silent = false;
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        const short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        const enum wait_result result = socket_wait(PQsocket(connection), events, deadline_ms, true);
        if (result == WAIT_STOPPED) {
            fault_set(ret_fault, STATUS_RETRY, "connect", "asked to stop while connecting to PostgreSQL");
            return false;
        }
        silent = result == WAIT_TIMEOUT;
        if (silent) {
            (void)shutdown(PQsocket(connection), SHUT_RDWR);
            deadline_ms = clock_now_ms() + timeout_ms;
        }
        next = PQconnectPoll(connection);
    }
    if (next == PGRES_POLLING_OK) return true;
    fault_from_connect(ret_fault, PQerrorMessage(connection));
    if (silent) {
        fault_set(ret_fault, STATUS_RETRY, "connect",
                  "cannot connect to PostgreSQL: no answer from %s port %s within %lld ms",
                  PQhost(connection), PQport(connection), (long long)timeout_ms);
    }
    return false;
}

/* Without a receiver libpq would print notices to standard error. */
static void take_notice(void *context, const PGresult *result)
{
    const struct database *database = context;
    if (database == NULL || database->listener.notice == NULL) return;
    const struct server_error told = read_error(result);
    database->listener.notice(database->listener.context, told.severity, told.message);
}

static PGconn *start_connecting(const struct database_options *options, struct fault *ret_fault)
{
    bool names_service;
    struct keywords keywords = {0};
    if (!database_check_conninfo(options->conninfo, &names_service, ret_fault)) return NULL;
    collect_keywords(options, names_service, &keywords);
    PGconn *connection = PQconnectStartParams(keywords.names, keywords.values, 1);
    if (connection == NULL) abort(); /* out of memory */
    (void)PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
    (void)PQsetNoticeReceiver(connection, take_notice, NULL);
    if (PQstatus(connection) != CONNECTION_BAD) return connection;
    fault_from_connect(ret_fault, PQerrorMessage(connection));
    PQfinish(connection);
    return NULL;
}

static bool set_up_session(struct database *database, struct fault *ret_fault)
{
    char sql[1024];
    (void)snprintf(sql, sizeof(sql), SQL_SESSION_FORMAT, (long long)database->statement_timeout_ms);
    return database_run(database, "connect", sql, NULL, 0, NULL, ret_fault);
}

static void drop(struct database *database)
{
    PQclear(database->answer);
    PQclear(database->refusal);
    PQfinish(database->connection);
    database->connection = NULL;
    database->answer = NULL;
    database->refusal = NULL;
    database->broken = true;
    database->busy = false;
    database->unsent = false;
}

bool database_open(const struct database_options *options, struct database **ret_database,
                   struct fault *ret_fault)
{
    PGconn *connection = start_connecting(options, ret_fault);
    if (connection == NULL) return false;
    const int64_t timeout_ms = host_timeout_ms(connection, options->connect_timeout_ms);
    if (!finish_connecting(connection, timeout_ms, ret_fault)) {
        PQfinish(connection);
        return false;
    }
    struct database *database = calloc(1, sizeof(*database));
    if (database == NULL) abort();
    database->connection = connection;
    database->statement_timeout_ms = options->statement_timeout_ms;
    database->stoppable = options->stoppable;
    (void)PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
    (void)PQsetNoticeReceiver(connection, take_notice, database);
    (void)PQsetnonblocking(connection, 1); /* fails only on a closed connection: the next statement tells */
    if (!set_up_session(database, ret_fault)) {
        database_close(database);
        return false;
    }
    *ret_database = database;
    return true;
}

void database_listen(struct database *database, const struct database_listener *listener)
{
    database->listener = *listener;
}

void database_close(struct database *database)
{
    if (database == NULL) return;
    drop(database);
    free(database);
}

int database_fd(const struct database *database)
{
    return PQsocket(database->connection);
}

bool database_wants_write(const struct database *database)
{
    return database->unsent;
}

bool database_is_alive(const struct database *database)
{
    return !database->broken && PQstatus(database->connection) == CONNECTION_OK;
}

static void begin(struct database *database, const char *site)
{
    assert(!database->busy);
    database->busy = true;
    database->site = site;
    database->unsent = false;
    database->deadline_ms = WAIT_NO_DEADLINE;
    if (database->statement_timeout_ms > 0)
        database->deadline_ms = clock_now_ms() + database->statement_timeout_ms + ANSWER_GRACE_MS;
}

static void keep_result(struct database *database, PGresult *result)
{
    const ExecStatusType status = PQresultStatus(result);
    assert(status != PGRES_COPY_IN && status != PGRES_COPY_OUT); /* would never end */
    const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
    PGresult **kept = good ? &database->answer : &database->refusal;
    PGresult *superfluous = good || *kept == NULL ? *kept : result;
    if (superfluous != result) *kept = result;
    PQclear(superfluous);
}

/* Takes what the socket holds and sends what it takes. True when the statement has ended. */
static bool advance(struct database *database)
{
    PGconn *connection = database->connection;
    database->unsent = PQflush(connection) > 0;
    /* On a lost connection PQgetResult() does not wait: it yields the server's last words, then the loss. */
    const bool lost = PQconsumeInput(connection) == 0;
    while (lost || PQisBusy(connection) == 0) {
        PGresult *result = PQgetResult(connection);
        if (result == NULL) return true;
        keep_result(database, result);
    }
    return false;
}

static struct rows *rows_new(PGresult *result)
{
    struct rows *rows = calloc(1, sizeof(*rows));
    if (rows == NULL) abort();
    rows->result = result;
    return rows;
}

/* After the end of a statement: its rows, or its fault. */
static bool settle(struct database *database, struct rows **ret_rows, struct fault *ret_fault)
{
    PGresult *answer = database->answer;
    PGresult *refusal = database->refusal;
    database->answer = NULL;
    database->refusal = NULL;
    database->busy = false;
    if (refusal == NULL && answer != NULL) {
        if (ret_rows == NULL)
            PQclear(answer);
        else
            *ret_rows = rows_new(answer);
        return true;
    }
    const struct server_error error = read_error(refusal);
    if (error.sqlstate[0] != '\0')
        fault_from_server(ret_fault, database->site, &error);
    else
        fault_from_loss(ret_fault, database->site, PQerrorMessage(database->connection));
    if (error.sqlstate[0] == '\0' || server_error_ends_session(&error)) database->broken = true;
    PQclear(answer);
    PQclear(refusal);
    return false;
}

static void give_up(struct database *database, const char *why, struct fault *ret_fault)
{
    drop(database);
    fault_set(ret_fault, STATUS_RETRY, database->site, "connection to PostgreSQL given up: %s", why);
}

static bool wait_answer(struct database *database, struct rows **ret_rows, struct fault *ret_fault)
{
    const struct database_listener *listener = &database->listener;
    const bool endless = database->deadline_ms == WAIT_NO_DEADLINE;
    while (!advance(database)) {
        const short events = database->unsent ? POLLIN | POLLOUT : POLLIN;
        const bool tells = endless && listener->waiting != NULL;
        const int64_t until_ms = tells ? clock_now_ms() + WAITING_MS : database->deadline_ms;
        const enum wait_result result =
            socket_wait(PQsocket(database->connection), events, until_ms, endless || database->stoppable);
        if (tells && result == WAIT_TIMEOUT) listener->waiting(listener->context);
        if (result == WAIT_READY || (tells && result == WAIT_TIMEOUT)) continue;
        give_up(database, result == WAIT_STOPPED ? "asked to stop" : "no answer in time", ret_fault);
        return false;
    }
    return settle(database, ret_rows, ret_fault);
}

/* After PQsend…(): false, with the fault, when it did not take the statement. */
static bool sent(struct database *database, int result, struct fault *ret_fault)
{
    if (result == 1) {
        database->unsent = PQflush(database->connection) > 0;
        return true;
    }
    fault_from_loss(ret_fault, database->site, PQerrorMessage(database->connection));
    drop(database);
    return false;
}

struct values {
    Oid types[PARAMETERS_MAX];
    const char *data[PARAMETERS_MAX];
    int sizes[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX];
};

static void fill_values(struct values *values, const struct sql_parameter *parameters, size_t count)
{
    assert(count <= PARAMETERS_MAX);
    for (size_t i = 0; i < count; i++) {
        assert(parameters[i].size <= INT32_MAX);
        values->types[i] = parameters[i].type;
        values->data[i] = parameters[i].data;
        values->sizes[i] = (int)parameters[i].size;
        values->formats[i] = parameters[i].binary ? 1 : 0;
    }
}

bool database_run(struct database *database, const char *site, const char *sql,
                  const struct sql_parameter *parameters, size_t parameter_count, struct rows **ret_rows,
                  struct fault *ret_fault)
{
    struct values values;
    fill_values(&values, parameters, parameter_count);
    begin(database, site);
    const int result = parameter_count == 0
                           ? PQsendQuery(database->connection, sql)
                           : PQsendQueryParams(database->connection, sql, (int)parameter_count, values.types,
                                               values.data, values.sizes, values.formats, 0);
    return sent(database, result, ret_fault) && wait_answer(database, ret_rows, ret_fault);
}

bool database_prepare(struct database *database, const char *name, const char *sql, const uint32_t *types,
                      size_t type_count, struct fault *ret_fault)
{
    begin(database, name);
    const int result = PQsendPrepare(database->connection, name, sql, (int)type_count, types);
    return sent(database, result, ret_fault) && wait_answer(database, NULL, ret_fault);
}

bool database_send(struct database *database, const char *site, const char *name,
                   const struct sql_parameter *parameters, size_t parameter_count, struct fault *ret_fault)
{
    struct values values;
    fill_values(&values, parameters, parameter_count);
    begin(database, site);
    const int result = PQsendQueryPrepared(database->connection, name, (int)parameter_count, values.data,
                                           values.sizes, values.formats, 0);
    return sent(database, result, ret_fault);
}

/* Between statements: what the server says unasked is taken in, for the next statement or for nobody. */
static bool hears_of_loss(struct database *database, struct fault *ret_fault)
{
    if (database->broken || PQconsumeInput(database->connection) == 1) return false;
    fault_from_loss(ret_fault, "connection", PQerrorMessage(database->connection));
    drop(database);
    return true;
}

enum database_progress database_poll(struct database *database, struct rows **ret_rows,
                                     struct fault *ret_fault)
{
    if (!database->busy) return hears_of_loss(database, ret_fault) ? DATABASE_FAILED : DATABASE_BUSY;
    if (advance(database)) return settle(database, ret_rows, ret_fault) ? DATABASE_DONE : DATABASE_FAILED;
    if (database->deadline_ms == WAIT_NO_DEADLINE || clock_now_ms() < database->deadline_ms)
        return DATABASE_BUSY;
    give_up(database, "no answer in time", ret_fault);
    return DATABASE_FAILED;
}

bool database_was_notified(struct database *database)
{
    bool told = false;
    for (PGnotify *notice; (notice = PQnotifies(database->connection)) != NULL; told = true)
        PQfreemem(notice);
    return told;
}

size_t rows_count(const struct rows *rows)
{
    return (size_t)PQntuples(rows->result);
}

bool rows_is_null(const struct rows *rows, size_t row, unsigned column)
{
    assert(row < rows_count(rows) && column < (unsigned)PQnfields(rows->result));
    return PQgetisnull(rows->result, (int)row, (int)column) != 0;
}

const char *rows_text(const struct rows *rows, size_t row, unsigned column)
{
    return rows_is_null(rows, row, column) ? "" : PQgetvalue(rows->result, (int)row, (int)column);
}

struct slice rows_bytes(struct rows *rows, size_t row, unsigned column)
{
    if (rows_is_null(rows, row, column)) return slice_of(NULL, 0);
    struct decoded *decoded = malloc(sizeof(*decoded));
    if (decoded == NULL) abort();
    size_t size;
    *decoded = (struct decoded){.next = rows->decoded};
    decoded->bytes = PQunescapeBytea((const unsigned char *)rows_text(rows, row, column), &size);
    if (decoded->bytes == NULL) abort();
    rows->decoded = decoded;
    return slice_of((const char *)decoded->bytes, size);
}

void rows_free(struct rows *rows)
{
    if (rows == NULL) return;
    while (rows->decoded != NULL) {
        struct decoded *decoded = rows->decoded;
        rows->decoded = decoded->next;
        PQfreemem(decoded->bytes);
        free(decoded);
    }
    PQclear(rows->result);
    free(rows);
}
