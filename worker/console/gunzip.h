/* What gzip made of a file at build time, undone. */
#ifndef WINNOW_GUNZIP_H
#define WINNOW_GUNZIP_H

#include "buffer.h"
#include "slice.h"

/* Adds the bytes that `gzip` stands for. The input is ours: one that is damaged aborts. */
void gunzip(struct slice gzip, struct buffer *ret_bytes);

#endif
