#include "doctor/mend.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "database_conninfo.h"
#include "kafka_admin.h"
#include "kafka_properties.h"
#include "settings_table.h"
#include "shell_quote.h"

static bool needs_login(const struct settings *settings)
{
    const char *protocol = kafka_property_value(settings, "security.protocol");
    return protocol != NULL && strcasecmp(protocol, "plaintext") != 0;
}

static bool has_line(const char *text, const char *line)
{
    size_t size = strlen(line);
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n' ? 1 : 0;
        if (strncmp(at, line, size) == 0 && (at[size] == '\0' || at[size] == '\n')) return true;
    }
    return false;
}

/* Once. A command that does not fit is left out: half of one could do harm. */
static void add_line(struct finding *finding, const char *line)
{
    size_t size = strlen(finding->mend);
    if (has_line(finding->mend, line)) return;
    if (size + strlen(line) + 2 > sizeof finding->mend) return;
    (void)snprintf(finding->mend + size, sizeof finding->mend - size, "%s%s", size > 0 ? "\n" : "", line);
}

void mend_run(struct finding *finding, const char *format, ...)
{
    char line[MEND_SIZE];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (size >= 0 && (size_t)size < sizeof line) add_line(finding, line);
}

void mend_kafka(const struct examination *examination, struct finding *finding, const char *tool,
                const char *format, ...)
{
    char brokers[WORD_SIZE];
    char arguments[WORD_SIZE];
    va_list values;
    shell_quote(examination->settings->brokers, brokers, sizeof brokers);
    va_start(values, format);
    int size = vsnprintf(arguments, sizeof arguments, format, values);
    va_end(values);
    if (size < 0 || (size_t)size >= sizeof arguments) return;
    mend_run(finding, "%s --bootstrap-server %s%s %s", tool, brokers,
             needs_login(examination->settings) ? " --command-config admin.properties" : "", arguments);
}

void mend_config(const struct examination *examination, struct finding *finding, const char *topic,
                 const char *setting)
{
    mend_kafka(examination, finding, "kafka-configs.sh",
               "--alter --entity-type topics --entity-name %s --add-config %s", topic, setting);
}

static void acl(const struct examination *examination, struct finding *finding, const char *operation,
                const char *resource)
{
    char principal[WORD_SIZE];
    const char *user = kafka_property_value(examination->settings, "sasl.username");
    shell_quote(user != NULL ? user : "ANONYMOUS", principal, sizeof principal);
    mend_kafka(examination, finding, "kafka-acls.sh", "--add --allow-principal User:%s %s %s", principal,
               operation, resource);
}

const char *sql_name(const char *name, char ret_name[SQL_NAME_SIZE])
{
    size_t length = 0;
    ret_name[length++] = '"';
    for (const char *at = name != NULL ? name : ""; *at != '\0' && length + 4 <= SQL_NAME_SIZE; at++) {
        if (*at == '"') ret_name[length++] = '"';
        ret_name[length++] = *at;
    }
    ret_name[length++] = '"';
    ret_name[length] = '\0';
    return ret_name;
}

bool mend_denial(const struct examination *examination, struct finding *finding, const struct fault *fault,
                 const char *operation, const char *resource)
{
    if (!kafka_fault_is_denial(fault)) return false;
    acl(examination, finding, operation, resource);
    return true;
}

void mend_psql(const struct examination *examination, struct finding *finding, const char *user,
               const char *database, const char *format, ...)
{
    char sql[WORD_SIZE];
    char sql_word[WORD_SIZE];
    char address_word[WORD_SIZE];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(sql, sizeof sql, format, values);
    va_end(values);
    char *address = conninfo_for(examination->settings->database, user, database);
    shell_quote(sql, sql_word, sizeof sql_word);
    shell_quote(address, address_word, sizeof address_word);
    free(address);
    mend_run(finding, "psql -d %s -c %s", address_word, sql_word);
}

static const struct setting *known_setting(const char *name)
{
    const struct setting *setting = setting_find(name, strlen(name));
    if (setting == NULL) abort(); /* the check is wrong */
    return setting;
}

const char *mend_flag_hint(const struct examination *examination, const char *name)
{
    bool given = examination->load->origins[known_setting(name) - setting_table].kind == ORIGIN_FLAG;
    return given ? "   # and leave out its flag, which would win" : "";
}

void mend_setting(const struct examination *examination, struct finding *finding, const char *name,
                  const char *value, const char *why)
{
    char word[WORD_SIZE];
    char variable[SETTING_TEXT_SIZE];
    shell_quote(value, word, sizeof word);
    setting_print_variable(known_setting(name), variable);
    mend_run(finding, "export %s=%s%s%s%s", variable, word, why[0] != '\0' ? "   # " : "", why,
             mend_flag_hint(examination, name));
}

void mend_conninfo(const struct examination *examination, struct finding *finding, const char *why,
                   const char *const *changes)
{
    char *conninfo = conninfo_with(examination->settings->database, changes);
    mend_setting(examination, finding, "database", conninfo, why);
    free(conninfo);
    mend_lost_password(examination, finding);
}

void mend_lost_password(const struct examination *examination, struct finding *finding)
{
    if (!conninfo_has_password(examination->settings->database)) return;
    mend_password(examination, finding);
}

void mend_password(const struct examination *examination, struct finding *finding)
{
    char word[WORD_SIZE];
    const struct settings *settings = examination->settings;
    char *user = conninfo_value(settings->database, "user");
    const char *whose = user == NULL ? "" : user;
    if (settings->database_password_file != NULL) {
        shell_quote(settings->database_password_file, word, sizeof word);
        mend_run(finding, "read -rs PASSWORD && printf %%s \"$PASSWORD\" > %s   # type the password of %s",
                 word, whose);
    } else {
        mend_run(finding, "read -rs PGPASSWORD && export PGPASSWORD   # type the password of %s", whose);
    }
    free(user);
}

static void alter_system(const struct examination *examination, struct finding *finding, const char *name,
                         const char *value)
{
    char word[WORD_SIZE];
    char *address = conninfo_for(examination->settings->database, SUPERUSER, NULL);
    shell_quote(address, word, sizeof word);
    free(address);
    mend_run(finding, "psql -d %s -c 'ALTER SYSTEM SET %s = %s' -c 'SELECT pg_reload_conf()'", word, name,
             value);
}

void mend_server_setting(const struct examination *examination, struct finding *finding, const char *name,
                         const char *value, const char *source)
{
    char database_name[SQL_NAME_SIZE];
    char user_name[SQL_NAME_SIZE];
    char *database = conninfo_value(examination->settings->database, "dbname");
    char *user = conninfo_value(examination->settings->database, "user");
    (void)sql_name(database, database_name);
    (void)sql_name(user, user_name);
    free(database);
    free(user);
    if (strcmp(source, "database") == 0) {
        mend_psql(examination, finding, SUPERUSER, "postgres", "ALTER DATABASE %s RESET %s", database_name,
                  name);
    } else if (strcmp(source, "user") == 0) {
        mend_psql(examination, finding, SUPERUSER, "postgres", "ALTER ROLE %s RESET %s", user_name, name);
    } else if (strcmp(source, "database user") == 0) {
        mend_psql(examination, finding, SUPERUSER, "postgres", "ALTER ROLE %s IN DATABASE %s RESET %s",
                  user_name, database_name, name);
    } else if (strcmp(source, "client") == 0) {
        mend_run(finding, "unset PGOPTIONS   # and take options=… out of -d");
    } else if (strcmp(source, "command line") == 0) { /* which overrules ALTER SYSTEM */
        mend_psql(examination, finding, SUPERUSER, "postgres", "SHOW data_directory");
        mend_run(finding,
                 "# take %s out of how the server is started, see its postmaster.opts, and restart it", name);
    } else {
        alter_system(examination, finding, name, value);
    }
}
