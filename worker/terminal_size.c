#include "terminal_size.h"

#include <stdbool.h>
#include <sys/ioctl.h>

#define COLUMNS_USUAL 80
#define ROWS_USUAL    24

struct terminal_size terminal_size_of(int fd)
{
    struct winsize size;
    const bool told = ioctl(fd, TIOCGWINSZ, &size) == 0;
    return (struct terminal_size){.columns = told && size.ws_col > 0 ? size.ws_col : COLUMNS_USUAL,
                                  .rows = told && size.ws_row > 0 ? size.ws_row : ROWS_USUAL};
}
