/* Masking fails closed: where libpq's reading of a text and a person's intention may differ (a password with
 * an unescaped @ in it), the larger part is masked, and what has no known form is masked whole. */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attr.h"
#include "buffer.h"

static char *cannot_read(struct buffer *ret_problem, const char *path, const char *why)
{
    buffer_add_text(ret_problem, "cannot read ");
    buffer_add_text(ret_problem, path);
    buffer_add_text(ret_problem, ": ");
    buffer_add_text(ret_problem, why);
    return NULL;
}

/* Fills `text`, which holds one byte more than may be there. The number of bytes, -1 with errno. */
static ssize_t read_whole(int fd, char *text)
{
    size_t size = 0;
    ssize_t got;
    while (size <= SECRET_BYTES_MAX && (got = read(fd, text + size, SECRET_BYTES_MAX + 1 - size)) != 0) {
        if (got < 0 && errno != EINTR) return -1;
        if (got > 0) size += (size_t)got;
    }
    return (ssize_t)size;
}

static size_t without_newline(const char *text, size_t size)
{
    if (size > 0 && text[size - 1] == '\n') size--;
    if (size > 0 && text[size - 1] == '\r') size--;
    return size;
}

char *secret_read(const char *path, struct buffer *ret_problem)
{
    char text[SECRET_BYTES_MAX + 1];
    struct stat status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us */
    if (fd < 0) return cannot_read(ret_problem, path, strerror(errno));
    const bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    const ssize_t got = is_file ? read_whole(fd, text) : 0;
    const int error = errno;
    (void)close(fd);
    if (!is_file)
        return cannot_read(ret_problem, path, "it is no file, expected one that holds the secret alone");
    if (got < 0) return cannot_read(ret_problem, path, strerror(error));
    if (got > SECRET_BYTES_MAX) return cannot_read(ret_problem, path, "it is longer than 64 KiB");
    const size_t size = without_newline(text, (size_t)got);
    if (size == 0) return cannot_read(ret_problem, path, "it is empty, expected the secret in it");
    if (memchr(text, '\0', size) != NULL) return cannot_read(ret_problem, path, "it holds a NUL byte");
    char *copy = strndup(text, size);
    explicit_bzero(text, sizeof text);
    if (copy == NULL) abort();
    return copy;
}

/* passfile is a path, and channel_binding and the like are no secrets. A key with % in it is a disguise. */
static bool key_is_secret(const char *key, size_t size)
{
    static const char *const marks[] = {"password", "secret", "token", "scram_", "%"};
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        if (memmem(key, size, marks[i], strlen(marks[i])) != NULL) return true;
    }
    return false;
}

/* The end of a conninfo value, NULL when its quote is never closed. */
static const char *value_end(const char *at)
{
    bool quoted = *at == '\'';
    if (quoted) at++;
    for (; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        else if (quoted && *at == '\'')
            return at + 1;
        else if (!quoted && strchr(" \t\n\r\f\v", *at) != NULL)
            return at;
    }
    return quoted ? NULL : at;
}

/* Adds `keyword = value`, the value masked if need be. Returns where the next one begins, NULL on bad form.
 */
static const char *mask_pair(struct buffer *out, const char *at)
{
    static const char spaces[] = " \t\n\r\f\v";
    size_t key_size = strcspn(at, " \t\n\r\f\v=");
    const char *value = at + key_size;
    value += strspn(value, spaces);
    if (key_size == 0 || *value != '=') return NULL;
    value++;
    value += strspn(value, spaces);
    const char *end = value_end(value);
    if (end == NULL) return NULL;
    if (out->size > 0) buffer_add_text(out, " ");
    (void)buffer_add(out, at, key_size);
    buffer_add_text(out, "=");
    if (key_is_secret(at, key_size))
        buffer_add_text(out, SECRET_MASK);
    else
        (void)buffer_add(out, value, (size_t)(end - value));
    return end + strspn(end, spaces);
}

static void mask_pairs(struct buffer *out, const char *conninfo)
{
    const char *at = conninfo + strspn(conninfo, " \t\n\r\f\v");
    while (at != NULL && *at != '\0') at = mask_pair(out, at);
    if (at != NULL) return;
    buffer_clear(out);
    buffer_add_text(out, SECRET_MASK);
}

/* The @ that ends user and password, NULL when there is none. libpq takes the first one before a slash; the
 * last one before the query is as likely meant. */
static const char *userinfo_end(const char *authority)
{
    const char *first = authority + strcspn(authority, "@/");
    const char *query = strchr(*first == '@' ? first : authority, '?');
    const char *limit = query != NULL ? query : authority + strlen(authority);
    return memrchr(authority, '@', (size_t)(limit - authority));
}

static void mask_query(struct buffer *out, const char *query)
{
    const char *at = query;
    while (*at != '\0') {
        size_t size = 1 + strcspn(at + 1, "&");
        const char *sign = memchr(at, '=', size);
        size_t shown =
            sign != NULL && key_is_secret(at, (size_t)(sign - at)) ? (size_t)(sign - at) + 1 : size;
        (void)buffer_add(out, at, shown);
        if (shown < size) buffer_add_text(out, SECRET_MASK);
        at += size;
    }
}

static void mask_uri(struct buffer *out, const char *uri)
{
    const char *authority = strstr(uri, "://") + 3;
    const char *end = userinfo_end(authority);
    const char *rest = end != NULL ? end : authority;
    const char *colon = end != NULL ? memchr(authority, ':', (size_t)(end - authority)) : NULL;
    (void)buffer_add(out, uri, (size_t)((colon != NULL ? colon + 1 : rest) - uri));
    if (colon != NULL) buffer_add_text(out, SECRET_MASK);
    size_t size = strcspn(rest, "?");
    (void)buffer_add(out, rest, size);
    mask_query(out, rest + size);
}

char *secret_mask_conninfo(const char *conninfo)
{
    struct buffer out = {0};
    if (strncmp(conninfo, "postgres://", 11) == 0 || strncmp(conninfo, "postgresql://", 13) == 0)
        mask_uri(&out, conninfo);
    else if (strchr(conninfo, '=') != NULL)
        mask_pairs(&out, conninfo);
    else if (strpbrk(conninfo, ":@/") != NULL) /* another scheme, or half a URI */
        buffer_add_text(&out, SECRET_MASK);
    else
        buffer_add_text(&out, conninfo); /* the name of a database, as libpq has it */
    (void)buffer_add(&out, "", 1);
    return out.data;
}
