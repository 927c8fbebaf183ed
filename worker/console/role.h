/* What a token allows; each role may do what those before it may. */
#ifndef WINNOW_ROLE_H
#define WINNOW_ROLE_H

enum role {
    ROLE_NONE,
    ROLE_VIEWER,    /* read */
    ROLE_SUBMITTER, /* submit events */
    ROLE_OPERATOR,  /* retry, discard, simulate failures */
};

#endif
