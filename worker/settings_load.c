#include "settings_load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_code.h"
#include "kafka_properties.h"
#include "reject.h"
#include "secret.h"
#include "settings_check.h"

#define FILE_SUFFIX ".file"

#define PLACE_SIZE 4200 /* a path, a colon and the number of a line */

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) abort();
    return copy;
}

static void origin_set(struct origin *to, struct origin from)
{
    char *place = copy_text(from.place);
    free(to->place);
    *to = (struct origin){from.kind, place};
}

static void (*own_listener)(const char *text);

void settings_load_listen(void (*listener)(const char *text))
{
    own_listener = listener;
}

void settings_load_tell(const char *format, ...)
{
    char text[PLACE_SIZE + 2048];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (own_listener != NULL)
        own_listener(text);
    else
        (void)fprintf(stderr, "winnow: %s\n", text);
}

void settings_load_complain(struct settings_load *load, struct origin origin, const char *format, ...)
{
    char text[1024];
    char place[PLACE_SIZE];
    char shown[2048]; /* names from a file or the environment may hold anything */
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    (void)reject_escape(slice_of_text(origin.place), place, sizeof place);
    (void)reject_escape(slice_of_text(text), shown, sizeof shown);
    settings_load_tell("%s: %s", place, shown);
    if (load->exit_code == 0) load->exit_code = origin.kind == ORIGIN_FLAG ? EXIT_BAD_USAGE : EXIT_BAD_CONFIG;
}

/* A name in front of a message, where the place does not tell it. */
static const char *name_in(struct origin origin, const char *name)
{
    return origin.kind == ORIGIN_FILE ? name : "";
}

/* Files are read from top to bottom, so what has an origin in a file was given above. */
static bool is_second(struct settings_load *load, const struct origin *before, struct origin origin,
                      const char *name)
{
    if (origin.kind != ORIGIN_FILE || before->kind != ORIGIN_FILE) return false;
    settings_load_complain(load, origin, "%s is given twice, before at %s", name, before->place);
    return true;
}

void settings_load_assign(struct settings_load *load, const struct setting *setting, const char *text,
                          struct origin origin)
{
    struct origin *known = &load->origins[setting - setting_table];
    if (is_second(load, known, origin, setting->name)) return;
    struct buffer problem = {0};
    if (!setting_assign(setting, text, &load->settings, &problem)) {
        const char *name = name_in(origin, setting->name);
        settings_load_complain(load, origin, "%s%s%.*s", name, name[0] != '\0' ? ": " : "", (int)problem.size,
                               problem.data);
    }
    origin_set(known, origin); /* also of a bad value, so that a second one is seen */
    buffer_done(&problem);
}

/* The place of a property; a new one at the end when it was not given yet. */
static size_t kafka_index(struct settings_load *load, const char *name)
{
    struct settings *settings = &load->settings;
    size_t count = settings->kafka_count;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(settings->kafka[i].name, name) == 0) return i;
    }
    settings->kafka = reallocarray(settings->kafka, count + 1, sizeof *settings->kafka);
    load->kafka_origins = reallocarray(load->kafka_origins, count + 1, sizeof *load->kafka_origins);
    if (settings->kafka == NULL || load->kafka_origins == NULL) abort();
    settings->kafka[count] = (struct kafka_property){copy_text(name), NULL};
    load->kafka_origins[count] = (struct origin){0};
    settings->kafka_count++;
    load->kafka_origin_count++;
    return count;
}

static void assign_property(struct settings_load *load, const char *name, const char *value,
                            struct origin origin)
{
    const char *refusal = kafka_property_refusal(name, value);
    if (refusal != NULL) {
        settings_load_complain(load, origin, "%s is refused: %s", name, refusal);
        return;
    }
    size_t index = kafka_index(load, name);
    if (is_second(load, &load->kafka_origins[index], origin, name)) return;
    char *copy = copy_text(value);
    free(load->settings.kafka[index].value);
    load->settings.kafka[index].value = copy;
    origin_set(&load->kafka_origins[index], origin);
}

/* Complains when the file cannot be read; owned by the caller. */
static char *read_secret(struct settings_load *load, const char *path, struct origin origin)
{
    struct buffer problem = {0};
    char *secret = secret_read(path, &problem);
    if (secret == NULL) settings_load_complain(load, origin, "%.*s", (int)problem.size, problem.data);
    buffer_done(&problem);
    return secret;
}

/* The property whose value a file holds, owned by the caller; NULL when the name is that of a property
 * itself. */
static char *property_of_file(const char *name)
{
    const size_t size = strlen(name);
    const size_t suffix_size = strlen(FILE_SUFFIX);
    if (size <= suffix_size || strcmp(name + size - suffix_size, FILE_SUFFIX) != 0) return NULL;
    char *property = strndup(name, size - suffix_size);
    if (property == NULL) abort();
    if (kafka_property_is_secret(property)) return property;
    free(property);
    return NULL;
}

void settings_load_assign_kafka(struct settings_load *load, const char *name, const char *value,
                                struct origin origin)
{
    char *property = property_of_file(name);
    char *secret = property != NULL ? read_secret(load, value, origin) : NULL;
    if (property == NULL)
        assign_property(load, name, value, origin);
    else if (secret != NULL)
        assign_property(load, property, secret, origin);
    free(property);
    free(secret);
}

void settings_load_init(struct settings_load *load)
{
    *load = (struct settings_load){0};
    struct buffer problem = {0};
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (setting->fallback == NULL) continue;
        if (!setting_assign(setting, setting->fallback, &load->settings, &problem))
            abort(); /* the table is wrong */
        load->origins[i] = (struct origin){ORIGIN_DEFAULT, copy_text("default")};
    }
    buffer_done(&problem);
}

void settings_load_done(struct settings_load *load)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) free(load->origins[i].place);
    for (size_t i = 0; i < load->kafka_origin_count; i++) free(load->kafka_origins[i].place);
    free(load->kafka_origins);
    settings_clear(&load->settings);
    *load = (struct settings_load){0};
}

/* To libpq a password in the environment is the default of one in the conninfo, whatever its form. The
 * workers of a pool inherit it, and read the file again, so that they find a new password when they are
 * replaced. One that we have put there goes when no file is named any more. */
static void take_database_password(struct settings_load *load)
{
    static bool is_ours;
    const struct setting *setting = setting_find(SETTING_PASSWORD_FILE, strlen(SETTING_PASSWORD_FILE));
    const char *path = load->settings.database_password_file;
    if (path == NULL) {
        if (is_ours && unsetenv("PGPASSWORD") != 0) abort();
        is_ours = false;
        return;
    }
    char *password = read_secret(load, path, load->origins[setting - setting_table]);
    if (password != NULL && setenv("PGPASSWORD", password, 1) != 0) abort();
    is_ours = is_ours || password != NULL;
    free(password);
}

void settings_load_finish(struct settings_load *load)
{
    struct settings *settings = &load->settings;
    take_database_password(load);
    const struct setting *dead = setting_find("dead_letter_topic", strlen("dead_letter_topic"));
    struct origin *origin = &load->origins[dead - setting_table];
    if (settings->topic == NULL) return;
    if (settings->dead_letter_topic == NULL) {
        if (asprintf(&settings->dead_letter_topic, "%s.dlq", settings->topic) < 0) abort();
        free(origin->place);
        *origin = (struct origin){ORIGIN_DEFAULT, copy_text("default")};
    }
    if (strcmp(settings->topic, settings->dead_letter_topic) == 0)
        settings_load_complain(load, *origin, "dead_letter_topic is the topic itself, expected another one");
    else if (check_topic(settings->dead_letter_topic) != NULL)
        settings_load_complain(load, *origin, "dead_letter_topic would be longer than a name may be, set it");
}
