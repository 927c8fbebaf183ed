/* A wall clock that a test sets: preloaded into winnow, it adds to the time of day what the file of the
 * environment's CLOCK_SHIM_FILE holds, eight bytes of milliseconds. Whoever waits for a time of day waits by
 * this clock, as on a machine whose clock is set: librdkafka's threads do. The monotonic clock is left alone.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SLICE_NS INT64_C(20000000)
#define SECOND   INT64_C(1000000000)

static const volatile int64_t *shift_ms;

__attribute__((constructor)) static void open_shift(void)
{
    const char *path = getenv("CLOCK_SHIM_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) abort();
    void *page = mmap(NULL, sizeof(*shift_ms), PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) abort();
    (void)close(fd);
    shift_ms = page;
}

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) abort();
    return found;
}

static int64_t real_ns(void)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) *(void **)&real = next("clock_gettime");
    struct timespec now;
    if (real(CLOCK_REALTIME, &now) != 0) abort();
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

/* Libraries that are set up before this one may ask already. */
static int64_t set_ns(void)
{
    return real_ns() + (shift_ms == NULL ? 0 : *shift_ms * 1000000);
}

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
}

int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) *(void **)&real = next("clock_gettime");
    if (clock != CLOCK_REALTIME) return real(clock, ret_now);
    *ret_now = timespec_of(set_ns());
    return 0;
}

int gettimeofday(struct timeval *restrict ret_now, void *restrict zone)
{
    (void)zone;
    int64_t ns = set_ns();
    *ret_now = (struct timeval){.tv_sec = ns / SECOND, .tv_usec = ns % SECOND / 1000};
    return 0;
}

time_t time(time_t *ret_now)
{
    time_t now = set_ns() / SECOND;
    if (ret_now != NULL) *ret_now = now;
    return now;
}

int timespec_get(struct timespec *ret_now, int base)
{
    *ret_now = timespec_of(set_ns());
    return base;
}

/* In slices, since the clock may be set meanwhile. */
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
    if (real == NULL) *(void **)&real = next("cnd_timedwait");
    for (;;) {
        int64_t left = (int64_t)until->tv_sec * SECOND + until->tv_nsec - set_ns();
        if (left < 0) left = 0;
        struct timespec slice = timespec_of(real_ns() + (left < SLICE_NS ? left : SLICE_NS));
        int result = real(condition, mutex, &slice);
        if (result != thrd_timedout || left <= SLICE_NS) return result;
    }
}
