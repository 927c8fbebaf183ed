#include "listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool read_port(const char *text, uint16_t *ret_port)
{
    if (*text == '\0' || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text)) return false;
    long port = strtol(text, NULL, 10);
    if (port > 65535) return false;
    *ret_port = (uint16_t)port;
    return true;
}

static bool is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, host, &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(strchr(host, ':') != NULL ? AF_INET6 : AF_INET, host, bytes) == 1;
}

bool listen_address_read(const char *text, struct listen_address *ret_address)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !read_port(colon + 1, &ret_address->port)) return false;
    bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    const char *begin = bracketed ? text + 1 : text;
    size_t size = (size_t)(colon - begin) - (bracketed ? 1 : 0);
    if (size >= sizeof ret_address->host) return false;
    memcpy(ret_address->host, begin, size);
    ret_address->host[size] = '\0';
    if (strcmp(ret_address->host, "localhost") == 0) memcpy(ret_address->host, "127.0.0.1", 10);
    if (!is_address(ret_address->host) || bracketed != (strchr(ret_address->host, ':') != NULL)) return false;
    ret_address->loopback = is_loopback(ret_address->host);
    return true;
}

static socklen_t make_address(const struct listen_address *address, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (strchr(address->host, ':') == NULL) {
        struct sockaddr_in *four = (struct sockaddr_in *)ret;
        *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(address->port)};
        if (inet_pton(AF_INET, address->host, &four->sin_addr) != 1) abort(); /* was read before */
        return sizeof *four;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
    *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
    if (inet_pton(AF_INET6, address->host, &six->sin6_addr) != 1) abort();
    return sizeof *six;
}

int listen_address_open(const struct listen_address *address, int backlog)
{
    struct sockaddr_storage at;
    const int on = 1;
    socklen_t size = make_address(address, &at);
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (struct sockaddr *)&at, size) == 0 && listen(fd, backlog) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}
