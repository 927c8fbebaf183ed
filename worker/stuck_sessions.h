/* Sessions that stopped between a statement and its Sync: a process froze or its network is gone, and what
 * its statement locked stays locked until TCP gives up, hours later. No timeout of the server's covers that
 * moment. Nothing of such a statement is committed. */
#ifndef WINNOW_STUCK_SESSIONS_H
#define WINNOW_STUCK_SESSIONS_H

#include "database.h"

/* Ends those that have this session's role and application_name, and says so; `what` names the rows that they
 * kept from us. Call it after waiting for these in vain. A fault is as good as none found: the caller's own
 * trouble goes on, and it comes again. */
void stuck_sessions_end(struct database *database, const char *what);

#endif
