#!/bin/sh
# Prints the C source that carries files inside the binary, gzipped (worker/console/page.h).
#   embed.sh NAME FOLDER [FILE…]     files of FOLDER, served at /FILE, as the table NAME
set -eu

media_type() {
    case $1 in
    *.json) echo 'application/json' ;;
    *.html) echo 'text/html; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *.svg) echo 'image/svg+xml' ;;
    *.txt) echo 'text/plain; charset=utf-8' ;;
    *)
        echo "embed.sh: no media type is known for $1; add it here" >&2
        return 1
        ;;
    esac
}

name=$1
folder=$2
shift 2
printf '/* Made by worker/console/embed.sh. */\n#include "console/page.h"\n\n'
table=
count=0
for file in "$@"; do
    type=$(media_type "$file")
    etag=$(sha256sum <"$folder/$file" | cut -c 1-16)
    printf '/* %s */\nstatic const unsigned char file_%s[] = {\n' "$file" "$count"
    gzip -9 -n <"$folder/$file" | od -An -v -tx1 | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
    printf '};\n\n'
    path=/${file%.html}
    table="$table    {\"${path%index}\", \"$type\", \"\\\"$etag\\\"\", file_$count, sizeof file_$count},
"
    count=$((count + 1))
done
# One entry more than there are files: ISO C has no empty arrays.
printf 'const struct page_file %s[] = {\n%s    {0},\n};\nconst size_t %s_count = %d;\n' "$name" "$table" "$name" "$count"
