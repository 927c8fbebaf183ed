#!/bin/sh
# Prints the C source that carries the page's files inside the binary, gzipped (worker/console/page.h).
#   embed.sh FOLDER     the files of FOLDER; without an argument, a page of no files
set -eu

media_type() {
    case $1 in
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

printf '/* Made by worker/console/web/embed.sh. */\n#include "console/page.h"\n\n'
table=
count=0
for name in ${1:+index.html app.css app.js icon.svg licenses.txt}; do
    file=$1/$name
    type=$(media_type "$name")
    etag=$(sha256sum <"$file" | cut -c 1-16)
    path=/$name
    [ "$name" != index.html ] || path=/
    printf '/* %s */\nstatic const unsigned char file_%s[] = {\n' "$name" "$count"
    gzip -9 -n <"$file" | od -An -v -tx1 | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
    printf '};\n\n'
    table="$table    {\"$path\", \"$type\", \"\\\"$etag\\\"\", file_$count, sizeof file_$count},
"
    count=$((count + 1))
done
# One entry more than there are files: ISO C has no empty arrays.
printf 'const struct page_file page_files[] = {\n%s    {0},\n};\n' "$table"
printf 'const size_t page_file_count = %d;\n' "$count"
