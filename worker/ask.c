#include "ask.h"

#include <poll.h>
#include <unistd.h>

#include "exit_code.h"
#include "signals.h"

/* False when a signal asked to stop before. A terminal is readable when a whole line is there. */
static bool wait_for_line(void)
{
    struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!signals_look_for_stop() && terminal.revents == 0) {
        if (!signals_wait(&terminal, 1, -1)) break;
    }
    return !signals_stop_asked();
}

bool ask_yes(FILE *out, const char *question, int *ret_exit_code)
{
    char answer[16] = "";
    (void)fprintf(out, "%s [y/N] ", question);
    (void)fflush(out);
    if (!wait_for_line()) {
        (void)fprintf(out, "\n");
        *ret_exit_code = EXIT_TEMPORARY;
        return false;
    }
    *ret_exit_code = EXIT_FINDING;
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}
