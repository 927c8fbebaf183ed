#!/bin/bash
# Makes a Debian package of a program that is built:   deb.sh VERSION BUILD     (BUILD as make has it)
#
# dpkg-buildpackage wants debian/ in the directory that it runs in, and leaves things there: that is BUILD/deb/winnow.
# The package ends in BUILD. Nothing is installed. lintian judges it, where it is installed.
set -euo pipefail
version=${1:?the version} build=${2:?the directory of the build}
root=$(pwd) given=$build
[[ $build == /* ]] || build=$root/$build
work=$build/deb/winnow
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}

rm -rf "$build/deb"
mkdir -p "$work"
cp -r worker/packaging/debian "$work/debian"
date=$(LC_ALL=C date -u -R -d "@$epoch")
sed "s/@version@/$version/; s/@date@/$date/" "$work/debian/changelog.in" >"$work/debian/changelog"
rm "$work/debian/changelog.in"
cd "$work"
if ! env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS ROOT="$root" BUILD="$given" SOURCE_DATE_EPOCH="$epoch" \
    dpkg-buildpackage --build=binary --no-sign >../log 2>&1; then
    cat ../log >&2
    exit 1
fi
cd "$build"
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error,warning,info "deb/winnow_${version}_"*.changes
fi
rm -f winnow_*.deb
mv deb/winnow_*.deb .
printf '  %s\n' "$build"/winnow_*.deb
