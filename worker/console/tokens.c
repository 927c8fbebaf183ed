#include "console/tokens.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/digest.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-"

struct token {
    char name[TOKEN_NAME_SIZE];
    enum role role;
    uint8_t digest[DIGEST_SIZE];
};

struct token_list {
    struct token *all; /* owned */
    size_t count;
};

struct tokens {
    char *path;
    pthread_mutex_t mutex; /* guards the list */
    struct token_list list;
};

static const char *const role_names[] = {
    [ROLE_NONE] = "none",
    [ROLE_VIEWER] = "viewer",
    [ROLE_SUBMITTER] = "submitter",
    [ROLE_OPERATOR] = "operator",
};

const char *role_name(enum role role)
{
    return role_names[role];
}

static bool read_role(const char *text, enum role *ret_role)
{
    for (int role = ROLE_VIEWER; role <= ROLE_OPERATOR; role++) {
        if (strcmp(text, role_names[role]) != 0) continue;
        *ret_role = (enum role)role;
        return true;
    }
    return false;
}

static bool read_digest(const char *text, uint8_t ret_digest[DIGEST_SIZE])
{
    if (strlen(text) != (size_t)DIGEST_SIZE * 2 || strspn(text, "0123456789abcdef") != strlen(text))
        return false;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        ret_digest[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

/* What was expected of the line; NULL when it is good or holds no token. */
static const char *read_line(char *line, struct token *ret_token, bool *ret_found)
{
    char *rest = line;
    const char *words[4] = {0};
    size_t count = 0;
    line[strcspn(line, "#\r\n")] = '\0';
    for (char *word; count < 4 && (word = strsep(&rest, " \t")) != NULL;) {
        if (*word != '\0') words[count++] = word;
    }
    *ret_found = count > 0;
    if (count == 0) return NULL;
    if (count != 3) return "name, role and SHA-256, separated by spaces";
    if (strlen(words[0]) >= TOKEN_NAME_SIZE || strspn(words[0], NAME_CHARACTERS) != strlen(words[0]))
        return "a name of at most 63 letters, digits, dots, underscores, hyphens and @";
    if (!read_role(words[1], &ret_token->role)) return "viewer, submitter or operator as the second word";
    if (!read_digest(words[2], ret_token->digest))
        return "64 lower-case hexadecimal digits, as sha256sum prints them, as the third word";
    (void)snprintf(ret_token->name, sizeof ret_token->name, "%s", words[0]);
    return NULL;
}

static bool read_all(FILE *file, const char *path, struct token_list *ret_list)
{
    char *line = NULL;
    size_t capacity = 0;
    const char *expected = NULL;
    for (size_t number = 1; expected == NULL && getline(&line, &capacity, file) >= 0; number++) {
        struct token token = {0};
        bool found;
        expected = read_line(line, &token, &found);
        if (expected != NULL) /* without what was found: it may be a token, put there by mistake */
            (void)fprintf(stderr, "winnow console: %s:%zu: expected %s\n", path, number, expected);
        if (expected != NULL || !found) continue;
        ret_list->all = reallocarray(ret_list->all, ret_list->count + 1, sizeof *ret_list->all);
        if (ret_list->all == NULL) abort();
        ret_list->all[ret_list->count++] = token;
    }
    free(line);
    return expected == NULL;
}

/* The caller frees the list, also after a failure. */
static bool read_file(const char *path, struct token_list *ret_list)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)fprintf(
            stderr,
            "winnow console: cannot read the tokens in %s: %s; expected lines of name, role and SHA-256 of a "
            "token\n",
            path, strerror(errno));
        return false;
    }
    bool good = read_all(file, path, ret_list);
    if (good && ferror(file) != 0) {
        (void)fprintf(stderr, "winnow console: cannot read the tokens in %s\n", path);
        good = false;
    } else if (good && ret_list->count == 0) {
        (void)fprintf(stderr, "winnow console: %s holds no token, expected a line: name role SHA-256\n",
                      path);
        good = false;
    }
    (void)fclose(file);
    return good;
}

struct tokens *tokens_read(const char *path)
{
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (tokens == NULL || pthread_mutex_init(&tokens->mutex, NULL) != 0) abort();
    tokens->path = strdup(path);
    if (tokens->path == NULL) abort();
    if (read_file(path, &tokens->list)) return tokens;
    tokens_free(tokens);
    return NULL;
}

bool tokens_reload(struct tokens *tokens)
{
    struct token_list read = {0};
    bool good = read_file(tokens->path, &read);
    if (good) {
        (void)pthread_mutex_lock(&tokens->mutex);
        const struct token_list before = tokens->list;
        tokens->list = read;
        (void)pthread_mutex_unlock(&tokens->mutex);
        read = before;
    }
    free(read.all);
    return good;
}

void tokens_free(struct tokens *tokens)
{
    if (tokens == NULL) return;
    (void)pthread_mutex_destroy(&tokens->mutex);
    free(tokens->list.all);
    free(tokens->path);
    free(tokens);
}

bool tokens_find(struct tokens *tokens, struct slice token, enum role *ret_role,
                 char ret_name[TOKEN_NAME_SIZE])
{
    uint8_t digest[DIGEST_SIZE];
    const struct token *found = NULL;
    digest_of(token, digest);
    (void)pthread_mutex_lock(&tokens->mutex);
    for (size_t i = 0; i < tokens->list.count; i++) {
        if (digest_equals(tokens->list.all[i].digest, digest)) found = &tokens->list.all[i];
    }
    if (found != NULL) {
        *ret_role = found->role;
        memcpy(ret_name, found->name, TOKEN_NAME_SIZE);
    }
    (void)pthread_mutex_unlock(&tokens->mutex);
    return found != NULL;
}
