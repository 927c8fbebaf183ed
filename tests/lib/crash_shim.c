/* A stand-in for a fault in a library that one message sets off: preloaded into workers, it raises SIGSEGV
 * when the identity of an event that holds the marker is hashed. Messages themselves, which are hashed for
 * the fingerprint, begin with '{' and pass. */
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MARKER "this-message-kills"

typedef int (*digest_update)(void *context, const void *data, size_t size);

static void crash(void)
{
    static const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)raise(SIGSEGV);
}

int EVP_DigestUpdate(void *context, const void *data, size_t size);

int EVP_DigestUpdate(void *context, const void *data, size_t size)
{
    static digest_update real;
    const char *bytes = data;
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "EVP_DigestUpdate");
    if (real == NULL) abort();
    if (size > 0 && bytes[0] != '{' && memmem(data, size, MARKER, strlen(MARKER)) != NULL) crash();
    return real(context, data, size);
}
