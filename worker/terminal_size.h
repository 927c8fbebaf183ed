/* How large a terminal is. */
#ifndef WINNOW_TERMINAL_SIZE_H
#define WINNOW_TERMINAL_SIZE_H

#include <stddef.h>

struct terminal_size {
    size_t columns;
    size_t rows;
};

/* Of the terminal behind the descriptor; 80 by 24 where nobody tells. */
struct terminal_size terminal_size_of(int fd);

#endif
