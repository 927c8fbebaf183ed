/* `winnow completion bash|zsh|fish`: a script that completes commands, words, options and values, made of the
 * same tables as --help. Each shell's script is data, one entry a command, around a few fixed lines. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "exit_code.h"
#include "settings_flags.h"

static const struct command_word words[] = {
    {"bash", "eval \"$(winnow completion bash)\""},
    {"zsh", "source <(winnow completion zsh)"},
    {"fish", "winnow completion fish | source"},
    {0},
};

const struct command_usage usage_completion = {
    .synopsis = "winnow completion bash|zsh|fish",
    .summary = "complete commands and options in a shell",
    .description = "Prints a script for the shell. Put the line below into its start-up file; packages have "
                   "done that.",
    .example = "eval \"$(winnow completion bash)\"",
    .words = words,
    .settings = "",
};

/* ---- what a command takes, as all three shells are told ------------------------------------------------ */

struct option {
    char letter;         /* 0: none */
    const char *name;    /* without hyphens, as it is written; NULL: the letter alone */
    const char *value;   /* what the value is called; NULL: it takes none */
    const char *choices; /* values, separated by spaces; NULL: no such list */
    const char *meaning;
};

typedef void tell_option(const struct option *option);

struct telling {
    tell_option *tell;
};

static void tell_setting(void *context, const struct setting *setting)
{
    const struct telling *telling = context;
    char flag[SETTING_TEXT_SIZE];
    setting_print_flag(setting, flag);
    const struct option option = {
        .letter = setting->letter,
        .name = flag + 2,
        .value = setting->is_switch ? NULL : setting->value_name,
        .choices = setting->is_switch ? NULL : setting->choices,
        .meaning = setting->help,
    };
    telling->tell(&option);
}

/* One that has subcommands only has no settings. */
static bool has_settings(const struct command *command)
{
    const char *settings = command->usage->settings;
    return command->run != NULL && (settings == NULL || settings[0] != '\0');
}

static void each_option(const struct command *command, tell_option *tell)
{
    const struct command_usage *usage = command->usage;
    struct telling telling = {tell};
    for (const struct command_option *own = usage->options; own != NULL && own->text != NULL; own++) {
        if (own->help != NULL) tell(&(struct option){own->letter, own->name, own->value, NULL, own->help});
    }
    if (has_settings(command)) {
        flags_each_setting(usage, tell_setting, &telling);
        tell(&(struct option){'c', "config", "FILE", NULL, "read settings from a file"});
        if (flags_takes(usage, "brokers"))
            tell(&(struct option){'X', NULL, "PROPERTY=VALUE", NULL, "a property of librdkafka"});
    }
    tell(&(struct option){'h', "help", NULL, NULL, "what the command does, and its options"});
}

static bool is_file(const struct option *option)
{
    return option->value != NULL && strcmp(option->value, "FILE") == 0;
}

/* The text in single quotes' inside; what `special` names gets a backslash. */
static void print_quoted(const char *text, const char *special)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            (void)fputs("'\\''", stdout);
        else if (strchr(special, *text) != NULL)
            (void)printf("\\%c", *text);
        else
            (void)putchar(*text);
    }
}

static bool is_subcommand(const char *path)
{
    return strchr(path, ' ') != NULL;
}

static void print_name(void *context, const char *path, const struct command *command)
{
    (void)context;
    (void)command;
    if (!is_subcommand(path)) (void)printf(" %s", path);
}

/* "|dlq list|dlq show|" */
static void print_path(void *context, const char *path, const struct command *command)
{
    (void)context;
    (void)command;
    if (is_subcommand(path)) (void)printf("%s|", path);
}

/* The words that a command takes, its subcommands among them. */
static void each_word(const struct command *command, void (*tell)(const char *word, const char *meaning))
{
    for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++) {
        if (sub->usage->summary != NULL) tell(sub->name, sub->usage->summary);
    }
    for (const struct command_word *word = command->usage->words; word != NULL && word->name != NULL;
         word++) {
        if (word->summary != NULL) tell(word->name, word->summary);
    }
}

/* ---- bash ---------------------------------------------------------------------------------------------- */

static void bash_flags(const struct option *option)
{
    if (option->letter != 0) (void)printf(" -%c", option->letter);
    if (option->name != NULL) (void)printf(" --%s", option->name);
}

static void bash_valued(const struct option *option)
{
    if (option->value != NULL && !is_file(option) && option->choices == NULL) bash_flags(option);
}

static void bash_files(const struct option *option)
{
    if (is_file(option)) bash_flags(option);
}

static void bash_choices(const struct option *option)
{
    if (option->choices == NULL) return;
    if (option->letter != 0) (void)printf("-%c | ", option->letter);
    (void)printf("--%s) choices='%s' ;; ", option->name, option->choices);
}

static void bash_word(const char *word, const char *meaning)
{
    (void)meaning;
    (void)printf(" %s", word);
}

static void bash_command(void *context, const char *path, const struct command *command)
{
    (void)context;
    (void)printf("    '%s')\n        words='", path);
    each_word(command, bash_word);
    (void)fputs("'\n        options='", stdout);
    each_option(command, bash_flags);
    (void)fputs("'\n        valued='", stdout);
    each_option(command, bash_valued);
    (void)fputs(" '\n        files='", stdout);
    each_option(command, bash_files);
    (void)fputs(" '\n        case $before in ", stdout);
    each_option(command, bash_choices);
    (void)puts("*) ;; esac\n        ;;");
}

static void print_bash(void)
{
    (void)fputs("# bash completion for winnow; made by: winnow completion bash\n"
                "_winnow()\n{\n"
                "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                "    local first=${COMP_WORDS[1]} words='' options='' valued='' files='' choices=''\n"
                "    local commands='",
                stdout);
    command_each(print_name, NULL);
    (void)fputs(" help'\n    local path=$first paths='|", stdout);
    command_each(print_path, NULL);
    (void)fputs("'\n    COMPREPLY=()\n"
                "    if ((COMP_CWORD == 1)); then\n"
                "        mapfile -t COMPREPLY < <(compgen -W \"$commands --help --version\" -- \"$word\")\n"
                "        return\n    fi\n"
                "    if [[ $first == help ]]; then\n"
                "        mapfile -t COMPREPLY < <(compgen -W \"$commands settings\" -- \"$word\")\n"
                "        return\n    fi\n"
                "    if ((COMP_CWORD > 2)) && [[ $paths == *\"|$first ${COMP_WORDS[2]}|\"* ]]; then\n"
                "        path+=\" ${COMP_WORDS[2]}\"\n    fi\n"
                "    case $path in\n",
                stdout);
    command_each(bash_command, NULL);
    (void)puts("    esac\n"
               "    if [[ $files == *\" $before \"* ]]; then\n"
               "        compopt -o filenames\n"
               "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
               "    elif [[ $valued == *\" $before \"* ]]; then\n"
               "        return\n"
               "    elif [[ -n $choices ]]; then\n"
               "        mapfile -t COMPREPLY < <(compgen -W \"$choices\" -- \"$word\")\n"
               "    elif [[ $word == -* ]]; then\n"
               "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
               "    else\n"
               "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
               "    fi\n}\n"
               "complete -F _winnow winnow");
}

/* ---- zsh ----------------------------------------------------------------------------------------------- */

static void zsh_action(const struct option *option)
{
    if (option->value == NULL) return;
    (void)putchar(':');
    print_quoted(option->value, ":[]");
    (void)putchar(':');
    if (is_file(option)) (void)fputs("_files", stdout);
    if (option->choices != NULL) (void)printf("(%s)", option->choices);
}

/* -X may be given more than once. */
static void zsh_option(const struct option *option)
{
    const char *repeated = option->name == NULL ? "*" : "";
    (void)fputs("            ", stdout);
    if (option->name != NULL && option->letter != 0)
        (void)printf("'(-%c --%s)'{-%c,--%s}'[", option->letter, option->name, option->letter, option->name);
    else if (option->name != NULL)
        (void)printf("'--%s[", option->name);
    else
        (void)printf("'%s-%c[", repeated, option->letter);
    print_quoted(option->meaning, "[]");
    (void)putchar(']');
    zsh_action(option);
    (void)puts("' \\");
}

static void zsh_described(const char *word, const char *meaning)
{
    (void)fputs("        '", stdout);
    print_quoted(word, ":");
    (void)putchar(':');
    print_quoted(meaning, "");
    (void)puts("'");
}

static void zsh_name(void *context, const char *path, const struct command *command)
{
    (void)context;
    if (!is_subcommand(path)) zsh_described(path, command->usage->summary);
}

static void zsh_command(void *context, const char *path, const struct command *command)
{
    (void)context;
    (void)printf("    '%s')\n        _winnow_words=(\n", path);
    each_word(command, zsh_described);
    (void)puts("        )\n        _arguments -s \\");
    each_option(command, zsh_option);
    (void)puts("            '*:argument:_winnow_argument'\n        ;;");
}

static void print_zsh(void)
{
    (void)fputs("#compdef winnow\n# zsh completion for winnow; made by: winnow completion zsh\n"
                "_winnow_argument() {\n"
                "    if (( $#_winnow_words )); then _describe word _winnow_words; else _files; fi\n}\n"
                "_winnow() {\n    local -a _winnow_commands _winnow_words\n"
                "    local command=$words[2] paths='|",
                stdout);
    command_each(print_path, NULL);
    (void)puts("'\n    _winnow_commands=(");
    command_each(zsh_name, NULL);
    zsh_described("help", "all commands, or one of them");
    (void)puts("    )\n"
               "    if (( CURRENT == 2 )); then\n"
               "        _winnow_commands+=('--help:all commands' '--version:the version')\n"
               "        _describe command _winnow_commands\n        return\n    fi\n"
               "    if [[ $command == help ]]; then\n"
               "        _winnow_commands+=('settings:every setting')\n"
               "        _describe command _winnow_commands\n        return\n    fi\n"
               "    if (( CURRENT > 3 )) && [[ $paths == *\"|$command $words[3]|\"* ]]; then\n"
               "        command+=\" $words[3]\"\n        shift words\n        (( CURRENT-- ))\n    fi\n"
               "    shift words\n    (( CURRENT-- ))\n"
               "    case $command in");
    command_each(zsh_command, NULL);
    (void)puts("    esac\n}\n"
               "if [ \"$funcstack[1]\" = _winnow ]; then _winnow \"$@\"; else compdef _winnow winnow; fi");
}

/* ---- fish ---------------------------------------------------------------------------------------------- */

static const char *fish_path; /* of the command in hand */
static const char
    *fish_before; /* its words stand there: __winnow_at, right behind it, or __winnow_is, anywhere */

static void fish_option(const struct option *option)
{
    (void)printf("complete -c winnow -n '__winnow_is %s'", fish_path);
    if (option->letter != 0) (void)printf(" -s %c", option->letter);
    if (option->name != NULL) (void)printf(" -l %s", option->name);
    if (option->value != NULL) (void)fputs(is_file(option) ? " -r -F" : " -x", stdout);
    if (option->choices != NULL) (void)printf(" -a '%s'", option->choices);
    (void)fputs(" -d '", stdout);
    print_quoted(option->meaning, "\\");
    (void)puts("'");
}

static void fish_word(const char *word, const char *meaning)
{
    (void)printf("complete -c winnow -f -n '%s %s' -a %s -d '", fish_before, fish_path, word);
    print_quoted(meaning, "\\");
    (void)puts("'");
}

static void fish_command(void *context, const char *path, const struct command *command)
{
    (void)context;
    if (!is_subcommand(path)) {
        (void)printf("complete -c winnow -f -n __winnow_at -a %s -d '", path);
        print_quoted(command->usage->summary, "\\");
        (void)printf("'\ncomplete -c winnow -f -n '__winnow_at help' -a %s\n", path);
    }
    fish_path = path;
    fish_before = command->subcommands != NULL ? "__winnow_at" : "__winnow_is";
    each_word(command, fish_word);
    each_option(command, fish_option);
}

static void print_fish(void)
{
    (void)puts("# fish completion for winnow; made by: winnow completion fish\n"
               "function __winnow_at\n"
               "    set -l given (commandline -opc)[2..-1]\n"
               "    test \"$given\" = \"$argv\"\n"
               "end\n"
               "function __winnow_is\n"
               "    set -l given (commandline -opc)[2..-1]\n"
               "    test (count $given) -ge (count $argv)\n"
               "    and test \"$given[1..$(count $argv)]\" = \"$argv\"\n"
               "end\n"
               "complete -c winnow -f -n __winnow_at -a help -d 'all commands, or one of them'\n"
               "complete -c winnow -f -n '__winnow_at help' -a settings\n"
               "complete -c winnow -n __winnow_at -l help -d 'all commands'\n"
               "complete -c winnow -n __winnow_at -l version -d 'the version'");
    command_each(fish_command, NULL);
}

int command_completion(int argc, char **argv)
{
    static void (*const print[])(void) = {print_bash, print_zsh, print_fish};
    int rest;
    int exit_code;
    if (!settings_read_arguments(&usage_completion, argc, argv, &rest, &exit_code)) return exit_code;
    const int word = settings_find_word("completion", &usage_completion, rest < argc ? argv[rest] : NULL);
    if (word < 0) return EXIT_BAD_USAGE;
    print[word]();
    return EXIT_DRAINED;
}
