/* winnow reads loose JSON events from Kafka and stores each exactly once in PostgreSQL. The commands put
 * together what they need; all that is left here is to see that what they said was heard. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "exit_code.h"

/* A descriptor that was closed by whoever started us would be given to the next file that is opened, and what
 * is meant for standard output would end in it. In its place stands one that refuses the use it is meant for.
 */
static void occupy_standard_descriptors(void)
{
    static const int refusing[] = {
        [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDONLY};
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        if (open("/dev/null", refusing[fd]) != fd) abort();
    }
}

/* What a message was in goes back to the system when the message is done. By itself the allocator gives every
 * thread a heap of its own (librdkafka has one for each broker), and learns from the first large block that
 * is freed to keep those to come in these heaps, where a backlog of large messages then leaves holes: a
 * worker needs a third more memory for the same messages, and no message a second is won by it. */
static void bound_heaps(void)
{
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

/* Who read the pipe, such as head(1), has seen enough: nothing to tell. */
static bool reader_is_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};
    return poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

int main(int argc, char **argv)
{
    occupy_standard_descriptors();
    bound_heaps();
    int exit_code = cli_run(argc, argv);
    errno = 0; /* of an earlier write it may be anything by now */
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        if (!reader_is_gone())
            (void)fprintf(stderr, "winnow: cannot write to standard output: %s\n",
                          errno != 0 ? strerror(errno) : "an earlier write failed; is it full, or closed?");
        /* An answer that nobody has seen is none, whether yes or no. */
        if (exit_code == EXIT_DRAINED || exit_code == EXIT_FINDING) exit_code = EXIT_TEMPORARY;
    }
    return exit_code;
}
