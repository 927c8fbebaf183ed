/* The page that supervisor and workers share, seen from both sides. */
// link: worker/slot.c
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slot.h"

static void test_own_page_without_supervisor(void)
{
    struct slot *slot = slot_attach(-1, 3);
    CU_ASSERT_EQUAL(slot->index, 3);
    CU_ASSERT_EQUAL(atomic_load(&slot->offset), SLOT_NO_MESSAGE);
    CU_ASSERT_FALSE(slot_has_reached(slot, SLOT_JOINED));
    CU_ASSERT_FALSE(slot_is_quarantined(slot, 0, 0));
    CU_ASSERT_FALSE(slot_is_quarantined(slot, 0, SLOT_NO_MESSAGE));
}

/* What the worker noted is there after it died in the middle. */
static void test_message_in_hand_outlives_the_worker(void)
{
    int fd;
    struct slot_page *page = slot_page_new(&fd);
    const pid_t pid = fork();
    if (pid == 0) {
        struct slot *slot = slot_attach(fd, 5);
        slot_reach(slot, SLOT_JOINED);
        slot_take(slot, 7, INT64_C(9000000000));
        _exit(0);
    }
    CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
    CU_ASSERT_TRUE(slot_has_reached(&page->slots[5], SLOT_JOINED));
    CU_ASSERT_EQUAL(atomic_load(&page->slots[5].partition), 7);
    CU_ASSERT_EQUAL(atomic_load(&page->slots[5].offset), INT64_C(9000000000));
    CU_ASSERT_EQUAL(atomic_load(&page->slots[4].offset), SLOT_NO_MESSAGE);
    slot_put(&page->slots[5]);
    CU_ASSERT_EQUAL(atomic_load(&page->slots[5].offset), SLOT_NO_MESSAGE);
    slot_reset(&page->slots[5], 1234);
    CU_ASSERT_EQUAL(slot_beat_ms(&page->slots[5]), 1234);
    CU_ASSERT_FALSE(slot_has_reached(&page->slots[5], SLOT_JOINED));
    slot_page_free(page);
    close(fd);
}

static void test_quarantine_reaches_running_workers(void)
{
    int fd;
    struct slot_page *page = slot_page_new(&fd);
    const struct slot *worker = slot_attach(fd, SLOT_COUNT_MAX - 1);
    CU_ASSERT_FALSE(slot_is_quarantined(worker, 3, 42));
    slot_page_quarantine(page, 3, 42);
    CU_ASSERT_TRUE(slot_is_quarantined(worker, 3, 42));
    CU_ASSERT_FALSE(slot_is_quarantined(worker, 4, 42));
    CU_ASSERT_FALSE(slot_is_quarantined(worker, 3, 41));
    slot_page_free(page);
    close(fd);
}

static void test_oldest_entry_makes_room(void)
{
    int fd;
    struct slot_page *page = slot_page_new(&fd);
    for (int64_t offset = 0; offset < SLOT_QUARANTINE_MAX; offset++) slot_page_quarantine(page, 1, offset);
    slot_page_quarantine(page, 1, 5); /* known: takes no room */
    CU_ASSERT_TRUE(slot_page_holds(page, 1, 0));
    slot_page_quarantine(page, 1, SLOT_QUARANTINE_MAX);
    CU_ASSERT_FALSE(slot_page_holds(page, 1, 0));
    for (int64_t offset = 1; offset <= SLOT_QUARANTINE_MAX; offset++) {
        CU_ASSERT_TRUE(slot_page_holds(page, 1, offset));
    }
    slot_page_free(page);
    close(fd);
}

/* Writer and reader at once: (1, even) and (2, odd) are quarantined in turn, a mixture must never be seen. */
static void test_entries_are_never_mixed(void)
{
    int fd;
    struct slot_page *page = slot_page_new(&fd);
    const pid_t pid = fork();
    if (pid == 0) {
        for (int64_t i = 0; i < 1500000; i++) {
            const int64_t offset = i % 1999; /* odd: an entry changes its partition from lap to lap */
            slot_page_quarantine(page, offset % 2 == 0 ? 1 : 2, offset);
        }
        _exit(0);
    }
    unsigned mixed = 0;
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        for (int64_t offset = 0; offset < 1999; offset++) {
            mixed += slot_page_holds(page, offset % 2 == 0 ? 2 : 1, offset);
        }
    }
    CU_ASSERT_EQUAL(mixed, 0);
    CU_ASSERT(atomic_load(&page->quarantined) > SLOT_QUARANTINE_MAX);
    slot_page_free(page);
    close(fd);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("slot", NULL, NULL);
    CU_add_test(suite, "a page of one's own without supervisor", test_own_page_without_supervisor);
    CU_add_test(suite, "the message in hand outlives the worker", test_message_in_hand_outlives_the_worker);
    CU_add_test(suite, "the quarantine reaches running workers", test_quarantine_reaches_running_workers);
    CU_add_test(suite, "the oldest entry makes room", test_oldest_entry_makes_room);
    CU_add_test(suite, "entries are never mixed", test_entries_are_never_mixed);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
