/* winnow reads loose JSON events from Kafka and stores each exactly once in PostgreSQL. The commands put
 * together what they need; all that is left here is to see that what they said was heard. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "exit_code.h"

int main(int argc, char **argv)
{
    int exit_code = cli_run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        (void)fprintf(stderr, "winnow: cannot write to standard output: %s\n", strerror(errno));
        if (exit_code == EXIT_DRAINED) exit_code = EXIT_TEMPORARY;
    }
    return exit_code;
}
