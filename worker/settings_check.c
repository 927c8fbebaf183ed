#include "settings_check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "listen_address.h"
#include "utf8.h"

#define TOPIC_BYTES_MAX  249 /* org.apache.kafka.common.internals.Topic */
#define GROUP_BYTES_MAX  200
#define SOCKET_BYTES_MAX 107 /* sun_path of unix(7), less its NUL */

static const char name_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

/* A port stands behind the last colon, unless that is inside the brackets of an IPv6 address. */
static bool port_is_good(const char *broker, size_t size)
{
    const char *colon = memrchr(broker, ':', size);
    if (colon == NULL || memchr(colon, ']', size - (size_t)(colon - broker)) != NULL) return true;
    size_t digits = strspn(colon + 1, "0123456789");
    long port = digits > 0 && digits <= 5 ? strtol(colon + 1, NULL, 10) : 0;
    return digits == size - (size_t)(colon + 1 - broker) && port >= 1 && port <= 65535;
}

const char *check_brokers(const char *text)
{
    static const char expected[] = "host:port, or several separated by commas";
    for (const char *at = text;; at++) {
        size_t size = strcspn(at, ",");
        if (size == 0 || *at == ':' || strcspn(at, " \t\"'") < size || !port_is_good(at, size))
            return expected;
        at += size;
        if (*at == '\0') return NULL;
    }
}

const char *check_topic(const char *text)
{
    size_t size = strlen(text);
    bool good = size > 0 && size <= TOPIC_BYTES_MAX && strspn(text, name_characters) == size &&
                strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
    return good ? NULL : "the name of one topic: 1 to 249 letters, digits, dots, underscores or hyphens";
}

const char *check_group(const char *text)
{
    size_t size = strlen(text);
    bool good = size > 0 && size <= GROUP_BYTES_MAX && utf8_is_valid(text, size) &&
                strpbrk(text, " \t\r\n\"'") == NULL;
    return good ? NULL : "the name of a consumer group: 1 to 200 bytes of UTF-8 without spaces or quotes";
}

const char *check_database(const char *text)
{
    /* The whole value in quotes is a habit of other files; libpq's own quotes stand inside. */
    return text[0] == '"' || text[0] == '\'' ? "a conninfo string or a URI without quotes around it" : NULL;
}

const char *check_listen(const char *text)
{
    struct listen_address address;
    return listen_address_read(text, &address)
               ? NULL
               : "an address and a port, such as 127.0.0.1:8077 or [::1]:8077";
}

const char *check_metrics_listen(const char *text)
{
    bool good = strcmp(text, "off") == 0 || check_listen(text) == NULL;
    return good ? NULL : "off, or an address and a port, such as 127.0.0.1:8078 or [::1]:8078";
}

/* scheme://host[:port] in lower case, and nothing behind it. */
static bool origin_is_good(const char *origin, size_t size)
{
    size_t scheme = strncmp(origin, "https://", 8) == 0 ? 8 : strncmp(origin, "http://", 7) == 0 ? 7 : 0;
    size_t host = strspn(origin + scheme, "abcdefghijklmnopqrstuvwxyz0123456789.-_[:]");
    return scheme > 0 && host > 0 && scheme + host == size && port_is_good(origin + scheme, host);
}

const char *check_origins(const char *text)
{
    for (const char *at = text;; at++) {
        size_t size = strcspn(at, ",");
        if (!origin_is_good(at, size))
            return "https://host or https://host:port in lower case, or several separated by commas";
        at += size;
        if (*at == '\0') return NULL;
    }
}

const char *check_socket(const char *text)
{
    return strlen(text) <= SOCKET_BYTES_MAX ? NULL : "none, or a path of at most 107 bytes";
}

const char *check_path(const char *text)
{
    return text[0] == '\0' ? "the path of a file" : NULL;
}
