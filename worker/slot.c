#include "slot.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct slot_page *page_map(int fd)
{
    const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *page = mmap(NULL, sizeof(struct slot_page), PROT_READ | PROT_WRITE, flags, fd, 0);
    if (page == MAP_FAILED) abort();
    return page;
}

static void page_init(struct slot_page *page)
{
    for (uint32_t i = 0; i < SLOT_COUNT_MAX; i++) {
        page->slots[i].index = i;
        slot_reset(&page->slots[i], 0);
    }
    for (unsigned i = 0; i < SLOT_QUARANTINE_MAX; i++) {
        atomic_init(&page->quarantine[i].offset, SLOT_NO_MESSAGE);
    }
}

struct slot_page *slot_page_new(int *ret_fd)
{
    const int fd = memfd_create("winnow-slots", 0);
    if (fd < 0 || ftruncate(fd, sizeof(struct slot_page)) != 0) abort();
    struct slot_page *page = page_map(fd);
    page_init(page);
    *ret_fd = fd;
    return page;
}

void slot_page_free(struct slot_page *page)
{
    if (page != NULL && munmap(page, sizeof(*page)) != 0) abort();
}

void slot_reset(struct slot *slot, int64_t now_ms)
{
    atomic_store(&slot->offset, SLOT_NO_MESSAGE);
    atomic_store(&slot->partition, 0);
    atomic_store(&slot->stage, SLOT_STARTING);
    atomic_store(&slot->resting, 0);
    atomic_store(&slot->beat_ms, now_ms);
}

void slot_page_set_quiet(struct slot_page *page, bool quiet)
{
    atomic_store(&page->quiet, quiet ? 1 : 0);
}

/* A reader that meets a half-written entry must neither wait (the writer may have been killed there) nor mix
 * two messages: the offset goes first and comes last, and slot_page_holds() reads it twice. */
void slot_page_quarantine(struct slot_page *page, int32_t partition, int64_t offset)
{
    if (slot_page_holds(page, partition, offset)) return;
    const uint64_t entries = atomic_load(&page->quarantined);
    struct slot_quarantine *entry = &page->quarantine[entries % SLOT_QUARANTINE_MAX];
    atomic_store(&entry->offset, SLOT_NO_MESSAGE);
    atomic_store(&entry->partition, partition);
    atomic_store(&entry->offset, offset);
    atomic_store(&page->quarantined, entries + 1);
}

bool slot_page_holds(const struct slot_page *page, int32_t partition, int64_t offset)
{
    for (unsigned i = 0; i < SLOT_QUARANTINE_MAX; i++) {
        const struct slot_quarantine *entry = &page->quarantine[i];
        if (atomic_load(&entry->offset) == offset && atomic_load(&entry->partition) == partition &&
            atomic_load(&entry->offset) == offset) {
            return true;
        }
    }
    return false;
}

struct slot *slot_attach(int fd, unsigned index)
{
    assert(index < SLOT_COUNT_MAX);
    struct stat status;
    if (fd >= 0 && (fstat(fd, &status) != 0 || status.st_size != sizeof(struct slot_page))) abort();
    struct slot_page *page = page_map(fd);
    if (fd < 0) page_init(page);
    return &page->slots[index];
}
