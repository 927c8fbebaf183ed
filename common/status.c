#include "status.h"

#include <stdarg.h>
#include <stdio.h>

void fault_set(struct fault *fault, enum status status, const char *site, const char *format, ...)
{
    *fault = (struct fault){.status = status, .site = site};
    va_list values;
    va_start(values, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, values);
    va_end(values);
    for (char *c = fault->text; *c != '\0'; c++) {
        if (*c == '\n' || *c == '\r') *c = ' ';
    }
}
