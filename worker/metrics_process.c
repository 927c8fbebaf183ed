/* What Prometheus' client libraries tell of their process (proc(5)). The pool's own process: workers are
 * others. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "metrics_text.h"

static void add(struct buffer *text, const char *name, const char *type, const char *help, double value)
{
    metrics_family(text, name, type, help);
    metrics_line(text, "%s %.15g\n", name, value);
}

static void add_memory(struct buffer *text)
{
    unsigned long long size;
    unsigned long long resident;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return;
    bool known = fscanf(file, "%llu %llu", &size, &resident) == 2;
    (void)fclose(file);
    if (!known) return;
    double page_size = (double)sysconf(_SC_PAGESIZE);
    add(text, "process_virtual_memory_bytes", "gauge", "Virtual memory of the pool's process.",
        (double)size * page_size);
    add(text, "process_resident_memory_bytes", "gauge", "Resident memory of the pool's process.",
        (double)resident * page_size);
}

static void add_files(struct buffer *text)
{
    double count = -3; /* ".", "..", and the directory itself */
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) return;
    /* cppcheck-suppress readdirCalled ; a pool has one thread */
    while (readdir(directory) != NULL) count++;
    (void)closedir(directory);
    add(text, "process_open_fds", "gauge", "Open files of the pool's process.", count);
}

void metrics_print_process(struct buffer *text, int64_t started_ms)
{
    struct rusage usage;
    struct rlimit limit;
    add(text, "process_start_time_seconds", "gauge", "When the pool began, in seconds since 1970.",
        (double)started_ms / 1000);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        double micros = (double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec;
        add(text, "process_cpu_seconds_total", "counter", "Processor time of the pool's process.",
            (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec + micros / 1e6);
    }
    add_memory(text);
    add_files(text);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        add(text, "process_max_fds", "gauge", "How many files it may open.", (double)limit.rlim_cur);
}
