#include "print_json.h"

void print_json_string(FILE *file, struct slice text)
{
    (void)fputc('"', file);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte < 0x20)
            (void)fprintf(file, "\\u%04x", byte);
        else if (byte == '"' || byte == '\\')
            (void)fprintf(file, "\\%c", byte);
        else
            (void)fputc(byte, file);
    }
    (void)fputc('"', file);
}
