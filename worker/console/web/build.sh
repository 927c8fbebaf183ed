#!/bin/sh
# Bundles the page of winnow console:   build.sh FOLDER     writes FOLDER/page.c, for the binary to carry
#
# The packages come from npm by package-lock.json into FOLDER/node_modules, and esbuild makes one script and one
# style sheet. Without npm, or when it cannot fetch them, page.c holds no files, which is said: everything else
# of winnow works without the page. An error in the page's own sources ends with 1.
set -eu
folder=$1
source=$(dirname "$0")

without_page() {
    echo "  The console will have no page: $1" >&2
    echo "  Everything else is built. When that is mended:  make page" >&2
    sh "$source/../embed.sh" page_files "$folder" >"$folder/page.c.new"
    mv "$folder/page.c.new" "$folder/page.c"
    exit 0
}

packages_are_current() {
    cmp -s "$source/package-lock.json" "$folder/installed-lock.json"
}

install_packages() {
    cp "$source/package.json" "$source/package-lock.json" "$folder/"
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1 >&2) || return 1
    cp "$folder/package-lock.json" "$folder/installed-lock.json"
}

# The licenses of what the script contains travel with it.
bundle() {
    NODE_PATH=$folder/node_modules "$folder/node_modules/.bin/esbuild" "$source/src/main.jsx" --bundle --minify \
        --target=es2022 --format=esm --jsx=automatic --jsx-import-source=preact --log-level=warning \
        --entry-names=app --outdir="$folder/files"
    cp "$source/index.html" "$source/icon.svg" "$folder/files/"
    for package in preact uplot; do
        printf '%s\n\n' "$package"
        cat "$folder/node_modules/$package/LICENSE"
        echo
    done >"$folder/files/licenses.txt"
}

mkdir -p "$folder/files"
command -v npm >/dev/null || without_page "npm is not installed (Debian: apt-get install npm)."
packages_are_current || install_packages || without_page "npm could not fetch its packages; its message is above."
bundle
sh "$source/../embed.sh" page_files "$folder/files" index.html app.css app.js icon.svg licenses.txt \
    >"$folder/page.c.new"
mv "$folder/page.c.new" "$folder/page.c"
