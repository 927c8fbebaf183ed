#!/bin/sh
# Prints the version:   version.sh RELEASE
#
#   1.2.0               the commit is tagged v1.2.0
#   1.2.0+3.g1a2b3c4    three commits behind that tag; without a tag, RELEASE+g1a2b3c4
#   ….dirty             files differ from the commit
#   RELEASE             outside git, also when the sources lie somewhere inside another repository
#
# Debian takes each of them for the version of a package as it is.
set -eu
release=${1:?the release that is being worked on}
if prefix=$(git rev-parse --show-prefix 2>/dev/null) && [ -z "$prefix" ] &&
    described=$(git describe --tags --match 'v[0-9]*' --always --dirty=.dirty 2>/dev/null); then
    case $described in
    v*) printf '%s\n' "$described" | sed 's/^v//; s/-\([0-9][0-9]*\)-g/+\1.g/; s/-/~/g' ;;
    *) printf '%s+g%s\n' "$release" "$described" ;;
    esac
else
    printf '%s\n' "$release"
fi
