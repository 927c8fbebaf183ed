/* Compiler attributes the rest of the tree spells in one way. */
#ifndef WINNOW_ATTR_H
#define WINNOW_ATTR_H

/* The caller must look at the returned value. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* Argument `text` is a printf format, its values begin at `first`. */
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
