#!/bin/sh
# Prints the C source that carries the migration files given as arguments inside the binary (worker/migrate.h).
# Bytes rather than string literals: ISO C lets those be no longer than 4,095 characters.
set -eu

printf '/* Made by migrations/embed.sh. */\n#include "migrate.h"\n'
table=
expected=1
for file in "$@"; do
    name=$(basename "$file" .up.sql)
    version=$(printf '%s' "${name%%_*}" | sed 's/^0*//')
    if [ "$version" != "$expected" ]; then
        echo "$file: expected the migration with number $expected, without gaps" >&2
        exit 1
    fi
    checksum=$(sha256sum <"$file" | cut -d ' ' -f 1)
    printf '\nstatic const unsigned char sql_%s[] = {\n' "$version"
    od -An -v -tx1 "$file" | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
    printf '0};\n'
    table="$table    {$version, \"$name\", sql_$version, \"$checksum\"},
"
    expected=$((expected + 1))
done
printf '\nconst struct migration migrations[] = {\n%s};\n' "$table"
printf 'const size_t migration_count = %d;\n' "$((expected - 1))"
