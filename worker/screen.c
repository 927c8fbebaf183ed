#include "screen.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "signals.h"
#include "terminal_size.h"
#include "utf8.h"

#define LINE_SIZE      1024
#define TAKE_SCREEN    "\033[?1049h\033[?25l" /* the other screen of the terminal, without a cursor */
#define GIVE_BACK      "\033[?25h\033[?1049l"
#define TO_THE_TOP     "\033[H"
#define TO_END_OF_LINE "\033[K"
#define TO_END         "\033[J"

struct screen {
    struct termios before;
    int resize_fd;
    pthread_t keys; /* reads them, so that q is heard while a server does not answer */
    size_t columns;
    size_t rows;
    size_t drawn; /* lines */
    struct buffer out;
};

bool screen_is_possible(void)
{
    const char *terminal = getenv("TERM");
    bool knows_how = terminal != NULL && terminal[0] != '\0' && strcmp(terminal, "dumb") != 0;
    return knows_how && isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
}

/* What cannot be written is met again by whoever prints last. */
static void put(const char *data, size_t size)
{
    (void)fwrite(data, 1, size, stdout);
    (void)fflush(stdout);
}

/* Keys come one by one and are not shown; nobody can stop us in the middle of a drawing. */
static void take_keys(struct screen *screen)
{
    struct termios now;
    if (tcgetattr(STDIN_FILENO, &screen->before) != 0) abort(); /* it is a terminal */
    now = screen->before;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    now.c_cc[VSUSP] = _POSIX_VDISABLE;
    now.c_cc[VMIN] = 1;
    now.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

static int watch_size(void)
{
    sigset_t resized;
    (void)sigemptyset(&resized);
    (void)sigaddset(&resized, SIGWINCH);
    (void)sigprocmask(SIG_BLOCK, &resized, NULL);
    int fd = signalfd(-1, &resized, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) abort();
    return fd;
}

/* True when q was pressed, or nobody is there any more. */
static bool reads_quit(void)
{
    char keys[64];
    ssize_t count = read(STDIN_FILENO, keys, sizeof keys);
    if (count <= 0) return true;
    return memchr(keys, 'q', (size_t)count) != NULL || memchr(keys, 'Q', (size_t)count) != NULL;
}

/* q asks this process, and nobody else of the terminal's, to stop, as Ctrl-C does. */
static void *read_keys(void *unused)
{
    while (!reads_quit()) continue;
    (void)kill(getpid(), SIGQUIT);
    return unused;
}

struct screen *screen_open(void)
{
    struct screen *screen = calloc(1, sizeof *screen);
    if (screen == NULL) abort();
    screen->resize_fd = watch_size();
    take_keys(screen);
    if (pthread_create(&screen->keys, NULL, read_keys, NULL) != 0) abort();
    put(TAKE_SCREEN, strlen(TAKE_SCREEN));
    return screen;
}

void screen_close(struct screen *screen)
{
    if (screen == NULL) return;
    (void)pthread_cancel(screen->keys); /* in read(2), or over */
    (void)pthread_join(screen->keys, NULL);
    put(GIVE_BACK, strlen(GIVE_BACK));
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
    (void)close(screen->resize_fd);
    buffer_done(&screen->out);
    free(screen);
}

void screen_begin(struct screen *screen)
{
    const struct terminal_size size = terminal_size_of(STDOUT_FILENO);
    screen->columns = size.columns;
    screen->rows = size.rows;
    screen->drawn = 0;
    buffer_clear(&screen->out);
    (void)buffer_add(&screen->out, TO_THE_TOP, strlen(TO_THE_TOP));
}

static void add_text(struct screen *screen, const char *text)
{
    (void)buffer_add(&screen->out, text, strlen(text));
}

/* The last line stays empty, so that nothing ever scrolls. */
void screen_line(struct screen *screen, enum colour colour, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list values;
    if (screen_room(screen) == 0) return;
    va_start(values, format);
    (void)vsnprintf(line, sizeof line, format, values);
    va_end(values);
    add_text(screen, colour_on(STDOUT_FILENO, colour));
    (void)buffer_add(&screen->out, line, utf8_fitting(line, screen->columns));
    add_text(screen, colour_on(STDOUT_FILENO, COLOUR_NONE));
    add_text(screen, TO_END_OF_LINE "\r\n");
    screen->drawn++;
}

void screen_end(struct screen *screen)
{
    add_text(screen, TO_END);
    put(screen->out.data, screen->out.size);
}

size_t screen_room(const struct screen *screen)
{
    return screen->rows > screen->drawn + 1 ? screen->rows - screen->drawn - 1 : 0;
}

static bool was_resized(struct screen *screen)
{
    struct signalfd_siginfo info;
    return read(screen->resize_fd, &info, sizeof info) == (ssize_t)sizeof info;
}

enum screen_event screen_wait(struct screen *screen, long timeout_ms)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    for (;;) {
        int64_t left_ms = deadline_ms - clock_now_ms();
        struct pollfd descriptors[] = {{.fd = screen->resize_fd, .events = POLLIN}};
        if (!signals_wait(descriptors, ARRAY_COUNT(descriptors), left_ms < 0 ? 0 : left_ms))
            return SCREEN_TIME_OVER;
        if (signals_look_for_stop()) return SCREEN_QUIT;
        if (was_resized(screen)) return SCREEN_RESIZED;
        if (left_ms <= 0) return SCREEN_TIME_OVER;
    }
}
