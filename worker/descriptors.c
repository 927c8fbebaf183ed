#include "descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"

bool descriptors_are_left(void)
{
    const int fd = eventfd(0, EFD_CLOEXEC);
    if (fd >= 0) (void)close(fd);
    return fd >= 0;
}

void descriptors_tell(const char *who)
{
    log_line(LOG_LEVEL_WARNING, "out_of_descriptors",
             "%s lets nobody in until a file descriptor is free: %s; workers go on meanwhile", who,
             strerror(errno));
}
