/* The tokens of the console, from a file that holds only their hashes:
 *
 *     # name    role       SHA-256 of the token, as sha256sum prints it
 *     alice     operator   5e884898da28047151d0e56f8dc6292773603d0d6aabbd62a11ef721d1542d8
 *
 * A token is to be a random text of 16 bytes or more, so a plain hash is enough. */
#ifndef WINNOW_TOKENS_H
#define WINNOW_TOKENS_H

#include <stdbool.h>

#include "attr.h"
#include "console/role.h"
#include "slice.h"

#define TOKEN_NAME_SIZE 64 /* with the terminating NUL */

struct tokens;

/* Reads the file. NULL after one clear line on standard error that names the line of the file. */
struct tokens *tokens_read(const char *path);
/* Reads the file again. False after the same line; what was read before then stays. Any thread. */
MUST_CHECK bool tokens_reload(struct tokens *tokens);
void tokens_free(struct tokens *tokens); /* takes NULL */

/* Looks at every entry, whichever matches, so that the time tells nothing. False when no entry does. */
MUST_CHECK bool tokens_find(struct tokens *tokens, struct slice token, enum role *ret_role,
                            char ret_name[TOKEN_NAME_SIZE]);

/* "viewer", "submitter", "operator". */
const char *role_name(enum role role);

#endif
