/* Who does it: for what is written down about steps that people take. */
#ifndef WINNOW_OPERATOR_H
#define WINNOW_OPERATOR_H

/* `asked` (--as) unless it is NULL or "", else the user of the operating system: who called sudo (SUDO_USER)
 * rather than whom it made of them; "uid 1234" when there is no name. Lives until the next call. */
const char *operator_name(const char *asked);

#endif
