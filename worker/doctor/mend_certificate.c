/* Certificates that cannot be trusted as things are. What is wrong with one is shown by openssl, as our
 * library sees it: the same authorities, the same name of a host. Whom to trust is for a person to say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "database_conninfo.h"
#include "doctor/mend.h"
#include "kafka_properties.h"
#include "shell_quote.h"

#define ASKED "   # type the path of the certificate of that issuer"

/* What the server at the address shows that is to be the host. */
static void show(struct finding *finding, const char *address, const char *host, const char *authorities,
                 const char *options)
{
    char address_word[WORD_SIZE];
    char host_word[WORD_SIZE];
    char file_word[WORD_SIZE] = "";
    if (authorities != NULL) shell_quote(authorities, file_word, sizeof file_word);
    shell_quote(host, host_word, sizeof host_word);
    shell_quote(address, address_word, sizeof address_word);
    mend_run(finding,
             "openssl s_client -connect %s%s -verify_hostname %s%s%s < /dev/null 2>&1 | "
             "grep -E '^(subject|issuer)=|^Verif'",
             address_word, options, host_word, authorities != NULL ? " -CAfile " : "", file_word);
}

/* Puts it behind those that are in the file. */
static void add_authority(struct finding *finding, const char *file)
{
    char word[WORD_SIZE];
    shell_quote(file, word, sizeof word);
    mend_run(finding, "read -r CA && sudo tee -a %s < \"$CA\"" ASKED, word);
}

void mend_broker_certificate(const struct settings *settings, struct finding *finding, const char *address)
{
    char host[WORD_SIZE];
    const char *port = strrchr(address, ':');
    const char *file = kafka_property_value(settings, "ssl.ca.location");
    if (port == NULL) return;
    (void)snprintf(host, sizeof host, "%.*s", (int)(port - address), address);
    show(finding, address, host, file, "");
    if (file != NULL)
        add_authority(finding, file);
    else
        mend_run(finding,
                 "read -r WINNOW_KAFKA_SSL_CA_LOCATION && export WINNOW_KAFKA_SSL_CA_LOCATION" ASKED);
}

void mend_broker_name(const struct examination *examination, struct finding *finding, const char *address)
{
    char word[WORD_SIZE];
    shell_quote(address, word, sizeof word);
    finding_add(finding, CHECK_OK, "its certificate is signed by whom we trust, but for other names");
    mend_run(finding,
             "openssl s_client -connect %s < /dev/null 2> /dev/null | openssl x509 -noout -subject -ext "
             "subjectAltName",
             word);
    mend_run(finding,
             "read -r WINNOW_BROKERS && export WINNOW_BROKERS   # type host:port with one of these names%s",
             mend_flag_hint(examination, "brokers"));
}

/* Of: server certificate for "names" (and 1 other name) does not match host name "asked". False: it is about
 * something else, or names no single host. */
static bool read_name(const char *text, char *ret_name, size_t size)
{
    const char *at = strstr(text, "server certificate for \"");
    if (at == NULL || strstr(at, "does not match host name") == NULL) return false;
    at += strlen("server certificate for \"");
    (void)snprintf(ret_name, size, "%.*s", (int)strcspn(at, "\""), at);
    return strchr(ret_name, '*') == NULL;
}

static bool is_address(const char *host)
{
    return strchr(host, ':') != NULL || host[strspn(host, "0123456789.")] == '\0';
}

void mend_database_certificate(const struct examination *examination, struct finding *finding,
                               const struct fault *fault)
{
    char name[256];
    const char *conninfo = examination->settings->database;
    char *host = conninfo_value(conninfo, "host");
    char *port = conninfo_value(conninfo, "port");
    char *file = conninfo_value(conninfo, "sslrootcert");
    const char *asked = host != NULL ? host : "localhost";
    char *at = conninfo_value(conninfo, "hostaddr");
    if (read_name(fault->text, name, sizeof name)) {
        const char *const changes[] = {"host", name, "hostaddr",
                                       at != NULL          ? at
                                       : is_address(asked) ? asked
                                                           : NULL,
                                       NULL};
        mend_conninfo(examination, finding, "the name in its certificate, if that is your server", changes);
    } else {
        char address[WORD_SIZE];
        (void)snprintf(address, sizeof address, "%s:%s", at != NULL ? at : asked,
                       port != NULL ? port : "5432");
        show(finding, address, asked, file, " -starttls postgres");
        if (file != NULL)
            add_authority(finding, file);
        else
            mend_run(finding, "read -r PGSSLROOTCERT && export PGSSLROOTCERT" ASKED);
    }
    free(at);
    free(host);
    free(port);
    free(file);
}
