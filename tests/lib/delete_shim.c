/* Preloaded into winnow doctor: the second request to delete a group, of what the doctor itself has made,
 * goes nowhere. */
#include <dlfcn.h>
#include <stddef.h>

typedef void delete_groups(void *client, void **groups, size_t count, const void *options, void *queue);

delete_groups rd_kafka_DeleteGroups;

void rd_kafka_DeleteGroups(void *client, void **groups, size_t count, const void *options, void *queue)
{
    static int calls;
    delete_groups *real = (delete_groups *)dlsym(RTLD_NEXT, "rd_kafka_DeleteGroups");
    if (++calls != 2) real(client, groups, count, options, queue);
}
