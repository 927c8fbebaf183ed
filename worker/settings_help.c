#include <stdio.h>
#include <string.h>

#include "settings_flags.h"

#define LEFT_WIDTH 34

/* "  -b, --brokers HOST:PORT      help [default]" */
static void print_line(char letter, const char *flag, const char *value, const char *help,
                       const char *fallback)
{
    char left[128];
    char short_flag[4] = "   ";
    if (letter != 0)
        (void)snprintf(short_flag, sizeof short_flag, "-%c%c", letter, flag[0] != '\0' ? ',' : ' ');
    int size = snprintf(left, sizeof left, "  %s %s%s%s", short_flag, flag,
                        flag[0] != '\0' && value != NULL ? " " : "", value != NULL ? value : "");
    int gap = LEFT_WIDTH - size > 1 ? LEFT_WIDTH - size : 1;
    (void)printf("%s%*s%s", left, gap, "", help);
    if (fallback != NULL && fallback[0] != '\0') (void)printf(" [%s]", fallback);
    (void)putchar('\n');
}

static void print_own(const struct command_option *options)
{
    bool any = false;
    for (const struct command_option *own = options; own != NULL && own->text != NULL; own++) {
        char flag[SETTING_TEXT_SIZE];
        if (own->help == NULL) continue;
        if (!any) (void)printf("\nOptions:\n");
        any = true;
        (void)snprintf(flag, sizeof flag, "--%s", own->name);
        print_line(own->letter, flag, own->value, own->help, NULL);
    }
}

void flags_print_help(const struct command_usage *usage)
{
    (void)printf("Usage: %s\n\n%s\n", usage->synopsis, usage->description);
    print_own(usage->options);
    (void)printf("\nSettings (--batch-rows 500 is also WINNOW_BATCH_ROWS, or batch_rows in a file):\n");
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        char flag[SETTING_TEXT_SIZE];
        if (!flags_takes(usage, setting->name)) continue;
        setting_print_flag(setting, flag);
        print_line(setting->letter, flag, setting->value_name, setting->help,
                   setting->derived != NULL ? setting->derived : setting->fallback);
    }
    if (flags_takes(usage, "brokers"))
        print_line('X', "", "PROPERTY=VALUE", "a property of librdkafka, as in [kafka]", NULL);
    print_line('c', "--config", "FILE", "read settings from a file; or WINNOW_CONFIG", NULL);
}
