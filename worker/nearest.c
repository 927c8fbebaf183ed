#include "nearest.h"

#include <ctype.h>
#include <string.h>

struct nearest nearest_to(const char *wanted)
{
    /* A third of the name may be wrong, of a short one two characters, and of three letters one. */
    size_t size = strlen(wanted);
    size_t limit = size / 3;
    if (limit < 2) limit = size > 3 ? 2 : 1;
    return (struct nearest){.wanted = wanted, .distance = limit + 1};
}

static char plain(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Three rows of the table of distances are alive at a time: this one, and two before it. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][NEAREST_NAME_MAX + 1];
    for (size_t j = 0; j <= b_size; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t changed = above[j - 1] + (plain(a[i - 1]) == plain(b[j - 1]) ? 0 : 1);
            row[j] = least(changed, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && plain(a[i - 1]) == plain(b[j - 2]) && plain(a[i - 2]) == plain(b[j - 1]))
                row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

void nearest_offer(struct nearest *nearest, const char *known)
{
    size_t wanted_size = strlen(nearest->wanted);
    size_t known_size = strlen(known);
    if (wanted_size > NEAREST_NAME_MAX || known_size > NEAREST_NAME_MAX) return;
    size_t found = distance(nearest->wanted, wanted_size, known, known_size);
    /* A name all of whose characters would have to change is not meant. */
    if (found >= nearest->distance || found >= wanted_size) return;
    nearest->distance = found;
    nearest->name = known;
}
