/* Exit codes of every winnow process, from sysexits(3). The supervisor reads them. */
#ifndef WINNOW_EXIT_CODE_H
#define WINNOW_EXIT_CODE_H

enum exit_code {
    EXIT_DRAINED = 0,      /* did what it was asked to do, or drained after SIGTERM */
    EXIT_FINDING = 1,      /* `status`, `config check`, `explain`: the answer is "no" */
    EXIT_BAD_USAGE = 64,   /* EX_USAGE: unknown command or option; not restarted */
    EXIT_UNREACHABLE = 69, /* EX_UNAVAILABLE: a server did not answer in time */
    EXIT_BROKEN = 70,      /* EX_SOFTWARE: integrity in doubt; the pool stops */
    EXIT_TEMPORARY = 75,   /* EX_TEMPFAIL: try again; a deadline passed */
    EXIT_BAD_CONFIG = 78,  /* EX_CONFIG: configuration or schema; not restarted */
};

#endif
