/* What must not be printed, taken out of what is. */
#ifndef WINNOW_SECRET_H
#define WINNOW_SECRET_H

#define SECRET_MASK "***"

/* The conninfo string or URI (PostgreSQL manual, 34.1.1) with its passwords, key passwords and secrets
 * masked; owned by the caller. What cannot be read as either is masked whole. */
char *secret_mask_conninfo(const char *conninfo);

#endif
