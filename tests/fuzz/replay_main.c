/* Stands in for libFuzzer: runs each file given as an argument, and all files of each folder given, through
 * the target once. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned files_run;

static int run_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size == 0 ? 1 : size);
    if (file == NULL || data == NULL || fread(data, 1, size, file) != size) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        return EXIT_FAILURE;
    }
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    files_run++;
    return EXIT_SUCCESS;
}

static int run(const char *path);

static int run_folder(const char *path)
{
    char inner[4096];
    int failed = EXIT_SUCCESS;
    DIR *folder = opendir(path);
    if (folder == NULL) return EXIT_FAILURE;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] == '.') continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= (int)sizeof inner) abort();
        failed |= run(inner);
    }
    (void)closedir(folder);
    return failed;
}

static int run(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        (void)fprintf(stderr, "%s: not there\n", path);
        return EXIT_FAILURE;
    }
    return S_ISDIR(status.st_mode) ? run_folder(path) : run_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv)
{
    int failed = EXIT_SUCCESS;
    for (int i = 1; i < argc; i++) failed |= run(argv[i]);
    printf("%u inputs replayed\n", files_run);
    return failed;
}
