/* Another version of librdkafka, as it tells of itself: what the file of the environment's VERSION_SHIM_FILE
 * holds, in hexadecimal digits as in rd_kafka_version(); the real one when there is no such file. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int rd_kafka_version(void);

int rd_kafka_version(void)
{
    int (*real)(void);
    unsigned version = 0;
    const char *path = getenv("VERSION_SHIM_FILE");
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%x", &version) != 1) abort();
        (void)fclose(file);
        return (int)version;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_version");
    if (real == NULL) abort();
    return real();
}
