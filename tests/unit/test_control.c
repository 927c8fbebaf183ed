/* The control socket, and who may use it: the kernel's word is ours here. */
// link: worker/control.c worker/log.c worker/clock.c worker/descriptors.c
#include <CUnit/Basic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "descriptors.h"
#include "log.h"

static char directory[] = "/tmp/winnow_control_XXXXXX";
static char path[64];
static struct control *control;
static struct fault fault;
static bool in_use;
static uid_t peer; /* of whoever connects */
static unsigned asked;
static mode_t first_mode; /* of the socket's file, as it was made */

int bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t size)
{
    struct stat status;
    const long result = syscall(SYS_bind, fd, address.__sockaddr__, size);
    first_mode = result == 0 && stat(address.__sockaddr_un__->sun_path, &status) == 0 ? status.st_mode : 0;
    return (int)result;
}

/* In the place of the kernel. */
int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict size)
{
    (void)fd;
    if (level != SOL_SOCKET || option != SO_PEERCRED || *size != sizeof(struct ucred)) abort();
    *(struct ucred *)value = (struct ucred){.pid = 1, .uid = peer, .gid = peer};
    return 0;
}

static void answer(void *context, const struct control_request *request, struct buffer *ret_answer)
{
    (void)context, (void)request;
    asked++;
    (void)buffer_add(ret_answer, "{}", 2);
}

static int start(void)
{
    log_init(LOG_LEVEL_ERROR, "test");
    if (mkdtemp(directory) == NULL) return 1;
    (void)snprintf(path, sizeof path, "%s/socket", directory);
    return 0;
}

static int stop(void)
{
    char lock[80];
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    (void)unlink(lock);
    return rmdir(directory);
}

static int dial(void)
{
    static const char request[] = "{\"command\":\"status\"}\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    CU_ASSERT_EQUAL_FATAL(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    return fd;
}

/* What who has this number is answered. */
static const char *answer_to(uid_t user)
{
    static char text[16];
    peer = user;
    const int fd = dial();
    control_serve(control, 0, answer, NULL);
    const ssize_t size = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[size > 0 ? size : 0] = '\0';
    (void)close(fd);
    return text;
}

static void begin(void)
{
    asked = 0;
    CU_ASSERT_TRUE_FATAL(control_open(path, &control, &in_use, &fault));
}

static void test_others_are_refused(void)
{
    begin();
    CU_ASSERT_STRING_EQUAL(answer_to(geteuid() + 1), "");
    CU_ASSERT_STRING_EQUAL(answer_to(65534), "");
    CU_ASSERT_EQUAL(asked, 0);
    CU_ASSERT_STRING_EQUAL(answer_to(geteuid()), "{}\n");
    CU_ASSERT_STRING_EQUAL(answer_to(0), "{}\n");
    CU_ASSERT_EQUAL(asked, 2);
    control_close(control);
}

static void test_the_file_is_the_owners_alone(void)
{
    struct stat status;
    const mode_t before = umask(0);
    begin();
    CU_ASSERT_EQUAL(first_mode & 0777, 0600);
    CU_ASSERT_EQUAL(umask(before), 0);
    CU_ASSERT_EQUAL_FATAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    control_close(control);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

static void test_a_second_pool_is_refused(void)
{
    struct control *second = NULL;
    begin();
    CU_ASSERT_FALSE(control_open(path, &second, &in_use, &fault));
    CU_ASSERT_TRUE(in_use);
    CU_ASSERT_STRING_EQUAL(answer_to(0), "{}\n"); /* the first one's socket is still there */
    control_close(control);
}

/* It costs a place until its time is over. */
static void test_who_says_nothing_is_sent_away(void)
{
    char byte;
    begin();
    peer = 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    control_serve(control, 0, answer, NULL);
    CU_ASSERT_EQUAL(control_deadline_ms(control), CONTROL_CLIENT_MS);
    control_serve(control, CONTROL_CLIENT_MS - 1, answer, NULL);
    CU_ASSERT_EQUAL(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    control_serve(control, CONTROL_CLIENT_MS, answer, NULL);
    CU_ASSERT_EQUAL(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    (void)close(fd);
    control_close(control);
}

/* As the pool waits: nothing may make it go round and round while nobody can be let in. */
static void test_without_descriptors_nobody_is_looked_at(void)
{
    struct pollfd descriptors[CONTROL_DESCRIPTORS_MAX];
    struct rlimit limit;
    begin();
    peer = 0;
    const int fd = dial();
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 3, .rlim_max = limit.rlim_max};
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &none), 0);
    control_serve(control, 0, answer, NULL);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CU_ASSERT_EQUAL(control_descriptors(control, descriptors), 0);
    CU_ASSERT_EQUAL(control_deadline_ms(control), DESCRIPTORS_PAUSE_MS);
    control_serve(control, DESCRIPTORS_PAUSE_MS - 1, answer, NULL);
    CU_ASSERT_EQUAL(asked, 0);
    control_serve(control, DESCRIPTORS_PAUSE_MS, answer, NULL);
    CU_ASSERT_EQUAL(asked, 1);
    CU_ASSERT_EQUAL(control_descriptors(control, descriptors), 1);
    CU_ASSERT_EQUAL(control_deadline_ms(control), INT64_MAX);
    (void)close(fd);
    control_close(control);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("control", start, stop);
    CU_add_test(suite, "others are refused", test_others_are_refused);
    CU_add_test(suite, "the file is the owner's alone", test_the_file_is_the_owners_alone);
    CU_add_test(suite, "a second pool is refused", test_a_second_pool_is_refused);
    CU_add_test(suite, "who says nothing is sent away", test_who_says_nothing_is_sent_away);
    CU_add_test(suite, "without descriptors nobody is looked at",
                test_without_descriptors_nobody_is_looked_at);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
