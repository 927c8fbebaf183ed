/* WINNOW_… in the environment. An empty variable counts as none, as Compose files leave them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nearest.h"
#include "settings_load.h"

#define PREFIX       "WINNOW_"
#define KAFKA_PREFIX "WINNOW_KAFKA_"
#define PREFIX_SIZE  (sizeof PREFIX - 1)

static bool ends_with(const char *name, size_t size, const char *end)
{
    size_t end_size = strlen(end);
    return size >= end_size && memcmp(name + size - end_size, end, end_size) == 0;
}

/* Kubernetes gives every container WINNOW_SERVICE_HOST, WINNOW_PORT_9092_TCP_ADDR and the like for services
 * whose names begin with "winnow" (Kubernetes documentation, "Service", environment variables). */
static bool is_kubernetes(const char *name, size_t size)
{
    return ends_with(name, size, "_SERVICE_HOST") || ends_with(name, size, "_SERVICE_PORT") ||
           ends_with(name, size, "_PORT") || memmem(name, size, "_SERVICE_PORT_", 14) != NULL ||
           memmem(name, size, "_TCP", 4) != NULL || memmem(name, size, "_UDP", 4) != NULL;
}

/* WINNOW_KAFKA_SECURITY_PROTOCOL is security.protocol: every underscore stands for a dot. */
static void load_kafka(struct settings_load *load, const char *name, const char *value, struct origin origin)
{
    char *property = strdup(name);
    if (property == NULL) abort();
    for (char *c = property; *c != '\0'; c++) *c = *c == '_' ? '.' : (char)tolower((unsigned char)*c);
    settings_load_assign_kafka(load, property, value, origin);
    free(property);
}

static void complain_unknown(struct settings_load *load, const char *name, struct origin origin)
{
    struct nearest nearest = nearest_to(name + PREFIX_SIZE);
    char variable[SETTING_TEXT_SIZE];
    nearest_offer(&nearest, "CONFIG");
    for (size_t i = 0; i < SETTING_COUNT; i++) nearest_offer(&nearest, setting_table[i].name);
    if (nearest.name == NULL) {
        settings_load_complain(load, origin, "no such setting; `winnow config example` lists them");
        return;
    }
    const struct setting *setting = setting_find(nearest.name, strlen(nearest.name));
    if (setting != NULL) setting_print_variable(setting, variable);
    settings_load_complain(load, origin, "no such setting; did you mean %s?",
                           setting != NULL ? variable : PREFIX "CONFIG");
}

static const struct setting *find_variable(const char *name)
{
    char variable[SETTING_TEXT_SIZE];
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        setting_print_variable(&setting_table[i], variable);
        if (strcmp(variable, name) == 0) return &setting_table[i];
    }
    return NULL;
}

static void load_variable(struct settings_load *load, const char *name, const char *value)
{
    struct origin origin = {ORIGIN_ENVIRONMENT, NULL};
    char *place = strdup(name);
    if (place == NULL) abort();
    origin.place = place;
    const struct setting *setting = find_variable(name);
    if (setting != NULL) {
        settings_load_assign(load, setting, value, origin);
    } else if (strcmp(name, PREFIX "CONFIG") != 0 && !is_kubernetes(name, strlen(name))) {
        if (strncmp(name, KAFKA_PREFIX, sizeof KAFKA_PREFIX - 1) == 0)
            load_kafka(load, name + sizeof KAFKA_PREFIX - 1, value, origin);
        else
            complain_unknown(load, name, origin);
    }
    free(place);
}

void settings_load_environment(struct settings_load *load)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        const char *sign = strchr(*entry, '=');
        if (sign == NULL || sign[1] == '\0' || strncmp(*entry, PREFIX, PREFIX_SIZE) != 0) continue;
        char *name = strndup(*entry, (size_t)(sign - *entry));
        if (name == NULL) abort();
        load_variable(load, name, sign + 1);
        free(name);
    }
}
