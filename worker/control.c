#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "descriptors.h"
#include "json_text.h"
#include "log.h"

struct client {
    int fd; /* -1: the place is free */
    int64_t deadline_ms;
    size_t request_size;
    char request[CONTROL_REQUEST_SIZE];
    struct buffer answer;
    size_t sent;
};

struct control {
    int fd;
    int lock_fd;
    char *path;
    int64_t pause_end_ms; /* until then nobody is let in; 0: everybody is */
    struct client clients[CONTROL_CLIENTS_MAX];
};

static bool refuse(struct fault *ret_fault, const char *path, const char *what)
{
    fault_set(ret_fault, STATUS_STOP, "control_socket", "cannot %s %s: %s", what, path, strerror(errno));
    return false;
}

/* Held as long as the pool lives, also when it is killed: the kernel lets go of it. */
static bool lock(struct control *control, bool *ret_in_use, struct fault *ret_fault)
{
    char *name;
    if (asprintf(&name, "%s.lock", control->path) < 0) abort();
    control->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool opened = control->lock_fd >= 0 || refuse(ret_fault, name, "open");
    bool locked = opened && flock(control->lock_fd, LOCK_EX | LOCK_NB) == 0;
    *ret_in_use = opened && !locked && errno == EWOULDBLOCK;
    if (opened && !locked) (void)refuse(ret_fault, name, "lock");
    if (*ret_in_use)
        fault_set(ret_fault, STATUS_STOP, "control_socket",
                  "another pool has %s: stop it, or give this one another control_socket", control->path);
    free(name);
    return locked;
}

/* The mask gives the file its mode as it is made: to whoever looks it never has another one. There are no
 * threads yet, whose files it would be for as well. */
static bool bind_for_owner(int fd, const struct sockaddr_un *address)
{
    const mode_t before = umask(0177);
    const bool bound = bind(fd, (const void *)address, sizeof(*address)) == 0;
    const int error = errno;
    (void)umask(before);
    errno = error;
    return bound;
}

static bool listen_there(struct control *control, struct fault *ret_fault)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    if (strlen(control->path) >= sizeof(address.sun_path)) {
        fault_set(ret_fault, STATUS_STOP, "control_socket", "found %zu bytes, expected a path of at most %zu",
                  strlen(control->path), sizeof(address.sun_path) - 1);
        return false;
    }
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", control->path);
    if (lstat(control->path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        fault_set(ret_fault, STATUS_STOP, "control_socket", "%s is there and no socket: give another path",
                  control->path);
        return false;
    }
    if (unlink(control->path) != 0 && errno != ENOENT) return refuse(ret_fault, control->path, "remove");
    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (control->fd < 0) return refuse(ret_fault, control->path, "make");
    return (bind_for_owner(control->fd, &address) && listen(control->fd, 16) == 0) ||
           refuse(ret_fault, control->path, "listen at");
}

bool control_open(const char *path, struct control **ret_control, bool *ret_in_use, struct fault *ret_fault)
{
    struct control *control = calloc(1, sizeof(*control));
    if (control == NULL) abort();
    *control = (struct control){.fd = -1, .lock_fd = -1, .path = strdup(path)};
    if (control->path == NULL) abort();
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) control->clients[i].fd = -1;
    if (lock(control, ret_in_use, ret_fault) && listen_there(control, ret_fault)) {
        *ret_control = control;
        return true;
    }
    if (control->fd >= 0) (void)close(control->fd);
    if (control->lock_fd >= 0) (void)close(control->lock_fd);
    free(control->path);
    free(control);
    return false;
}

static void dismiss(struct client *client)
{
    (void)close(client->fd);
    buffer_done(&client->answer);
    *client = (struct client){.fd = -1};
}

/* The file of the lock stays: removed, it could be locked by two. */
void control_close(struct control *control)
{
    if (control == NULL) return;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (control->clients[i].fd >= 0) dismiss(&control->clients[i]);
    }
    (void)unlink(control->path);
    (void)close(control->fd);
    (void)close(control->lock_fd);
    free(control->path);
    free(control);
}

unsigned control_descriptors(const struct control *control, struct pollfd *ret_descriptors)
{
    unsigned count = 0;
    bool has_room = false;
    if (control == NULL) return 0;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct client *client = &control->clients[i];
        has_room = has_room || client->fd < 0;
        if (client->fd < 0) continue;
        const short events = client->answer.size > 0 ? POLLOUT : POLLIN;
        ret_descriptors[count++] = (struct pollfd){.fd = client->fd, .events = events};
    }
    if (has_room && control->pause_end_ms == 0)
        ret_descriptors[count++] = (struct pollfd){.fd = control->fd, .events = POLLIN};
    return count;
}

int64_t control_deadline_ms(const struct control *control)
{
    int64_t deadline_ms = INT64_MAX;
    if (control != NULL && control->pause_end_ms != 0) deadline_ms = control->pause_end_ms;
    for (unsigned i = 0; control != NULL && i < CONTROL_CLIENTS_MAX; i++) {
        const struct client *client = &control->clients[i];
        if (client->fd >= 0 && client->deadline_ms < deadline_ms) deadline_ms = client->deadline_ms;
    }
    return deadline_ms;
}

/* The file's mode keeps others out already, where its directory is not a strange one. */
static bool may_ask(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    if (peer.uid == 0 || peer.uid == geteuid()) return true;
    log_line(LOG_LEVEL_WARNING, "control_refused", "user %u may not control this pool", (unsigned)peer.uid);
    return false;
}

/* Who waits to be let in makes the listener readable all the time: without a free descriptor it is not looked
 * at for a while. */
static void pause_when_full(struct control *control, int64_t now_ms)
{
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
    control->pause_end_ms = now_ms + DESCRIPTORS_PAUSE_MS;
    descriptors_tell("the control socket");
}

static void accept_all(struct control *control, int64_t now_ms)
{
    if (now_ms < control->pause_end_ms) return;
    control->pause_end_ms = 0;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (control->clients[i].fd >= 0) continue;
        // cppcheck-suppress nullPointer // accept(2) allows it
        const int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) { /* nobody is there, or whoever was has gone */
            pause_when_full(control, now_ms);
            return;
        }
        if (may_ask(fd))
            control->clients[i] = (struct client){.fd = fd, .deadline_ms = now_ms + CONTROL_CLIENT_MS};
        else
            (void)close(fd);
    }
}

static void take_member(void *context, bool inner, const struct jsontext_token *key,
                        const struct jsontext_token *value)
{
    struct control_request *request = context;
    if (inner) return;
    if (slice_equals(key->text, slice_of_text("command")) && value->kind == JSONTEXT_STRING &&
        value->text.size < sizeof(request->command)) {
        (void)snprintf(request->command, sizeof(request->command), "%.*s", (int)value->text.size,
                       value->text.data);
    }
    if (slice_equals(key->text, slice_of_text("count")) && value->kind == JSONTEXT_NUMBER && value->integer &&
        value->text.size < 10) {
        request->has_count = true;
        request->count = strtoll(value->text.data, NULL, 10); /* ends at the next byte of the object */
    }
}

static bool is_request(struct slice line, struct control_request *ret_request)
{
    struct jsontext scanner = {0};
    struct jsontext_report report;
    const struct jsontext_visitor visitor = {.member = take_member, .context = ret_request};
    *ret_request = (struct control_request){0};
    const bool good = jsontext_scan(&scanner, line, &visitor, &report) == JSONTEXT_OK;
    jsontext_done(&scanner);
    return good && report.kind == JSONTEXT_OBJECT && ret_request->command[0] != '\0';
}

static void answer_line(struct client *client, size_t size, control_answer answer, void *context)
{
    static const char nonsense[] =
        "{\"ok\":false,\"error\":\"expected one line of JSON such as {\\\"command\\\":\\\"status\\\"}\"}";
    struct control_request request;
    if (is_request(slice_of(client->request, size), &request))
        answer(context, &request, &client->answer);
    else
        buffer_add(&client->answer, nonsense, sizeof(nonsense) - 1);
    buffer_add(&client->answer, "\n", 1);
}

/* False when the client is done with. */
static bool read_request(struct client *client, control_answer answer, void *context)
{
    const size_t room = sizeof(client->request) - client->request_size;
    const ssize_t size = recv(client->fd, client->request + client->request_size, room, 0);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) return false;
    client->request_size += (size_t)size;
    const char *end = memchr(client->request, '\n', client->request_size);
    if (end == NULL && client->request_size < sizeof(client->request)) return true;
    answer_line(client, end == NULL ? 0 : (size_t)(end - client->request), answer, context);
    return true;
}

static bool write_answer(struct client *client)
{
    const struct buffer *answer = &client->answer;
    const ssize_t size =
        send(client->fd, answer->data + client->sent, answer->size - client->sent, MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    client->sent += (size_t)size;
    return client->sent < answer->size;
}

void control_serve(struct control *control, int64_t now_ms, control_answer answer, void *context)
{
    if (control == NULL) return;
    accept_all(control, now_ms);
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *client = &control->clients[i];
        if (client->fd < 0) continue;
        bool stays = now_ms < client->deadline_ms;
        if (stays && client->answer.size == 0) stays = read_request(client, answer, context);
        if (stays && client->answer.size > 0) stays = write_answer(client);
        if (!stays) dismiss(client);
    }
}
