/* Secrets: read from files, and taken out of what is printed. */
#ifndef WINNOW_SECRET_H
#define WINNOW_SECRET_H

#include "buffer.h"

#define SECRET_MASK      "***"
#define SECRET_BYTES_MAX 65536 /* of a file; certificates and keys are longer than passwords */

/* The text of a file without the newline at its end, owned by the caller. NULL with what is wrong added to
 * *ret_problem ("cannot read PATH: …"): it must be a file, not a pipe, since every worker of a pool reads it
 * again; of 1 to SECRET_BYTES_MAX bytes, without NUL. The text itself is never part of the problem. */
char *secret_read(const char *path, struct buffer *ret_problem);

/* The conninfo string or URI (PostgreSQL manual, 34.1.1) with its passwords, key passwords and secrets
 * masked; owned by the caller. What cannot be read as either is masked whole. */
char *secret_mask_conninfo(const char *conninfo);

#endif
