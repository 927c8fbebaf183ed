"""What the layout promises: layers, rooms without cycles, foreign headers in their one file, sizes, purity."""

import fnmatch
import graphlib
import re
import subprocess
from pathlib import Path

from sources import ROOT, all_files, c_files, foreign_includes, own_includes, text_of

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

# A folder may include from itself and from those named here.
MAY_INCLUDE = {"include": ("include",), "common": ("include", "common"), "worker": ("include", "worker")}
# The two ports: the core knows neither of them.
PORTS = ("include/source.h", "include/sink.h")

# Foreign header (as a pattern) → the files that may include it, besides tests.
FOREIGN_HOMES = {
    "libpq-fe.h": ("worker/database.c", "worker/database_conninfo.c", "worker/library_versions.c"),
    "librdkafka/*": ("worker/kafka_client.h",),
    "json-c/*": ("common/json_string.c", "worker/command/*.c", "worker/library_versions.c"),
    "openssl/*": ("common/identity.c", "worker/migrate.c", "worker/migrate_*.c",
                  "worker/console/digest.c"),
    "microhttpd.h": ("worker/console/server.c", "worker/monitor.c"),
    "uuid/*": ("common/identity.c", "worker/sink_postgres.c", "worker/owner.c"),
    "ini.h": ("worker/settings_file.c",),
}

# All that the core takes from outside. What is not here it may not call: add a line only for a function
# without input, output, clock, randomness or state that outlives the call.
PURE_SYMBOLS = """
    abort __assert_fail __stack_chk_fail
    malloc calloc realloc free qsort bsearch
    memchr memcmp memcpy memmove memset strchr strrchr strcmp strncmp strlen strnlen strcspn strspn
    snprintf vsnprintf __snprintf_chk __vsnprintf_chk __memcpy_chk __memmove_chk __memset_chk
    json_object_get_string json_object_get_string_len json_object_is_type json_object_put
    json_tokener_free json_tokener_new json_tokener_parse_ex json_tokener_reset
    EVP_DigestFinal_ex EVP_DigestInit_ex2 EVP_DigestUpdate EVP_MD_CTX_free EVP_MD_CTX_new EVP_MD_fetch EVP_MD_free
    uuid_unparse_lower
""".split()


def check_layers():
    """include/ ← common/ ← worker/, and the core knows no port"""
    for path in c_files(MAY_INCLUDE):
        layer = path.split("/")[0]
        for included in own_includes(path):
            if included.split("/")[0] not in MAY_INCLUDE[layer]:
                yield f"{path} includes {included}: {layer}/ may include {', '.join(MAY_INCLUDE[layer])} only"
            if layer == "common" and included in PORTS:
                yield f"{path} includes the port {included}"


def check_log_events():
    """every event of the log is in the table of worker/log_events.c, in order, and none besides"""
    table = re.findall(r'^ *\{"([a-z_]+)",\s+(?:ERROR|WARNING|INFO|DEBUG),', text_of("worker/log_events.c"), re.MULTILINE)
    told = {}
    for path in c_files(("common", "worker"), suffixes=(".c",)):
        for call in re.findall(r"\b(?:log_line\(|machine_say\(\s*machine,)[^,;]*,([^,;]*),", text_of(path)):
            told.update({event: path for event in re.findall(r'"([^"]*)"', call)})
    for event in sorted(set(told) - set(table)):
        yield f"{told[event]}: {event} is not in worker/log_events.c"
    for event in sorted(set(table) - set(told)):
        yield f"worker/log_events.c: nothing tells of {event}"
    if table != sorted(table):
        yield "worker/log_events.c is not sorted by name"


def check_cycles():
    """headers include each other in one direction"""
    graph = {path: own_includes(path) for path in c_files(suffixes=(".h",))}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as cycle:
        yield " → ".join(cycle.args[1])


def check_foreign_headers():
    """libpq, librdkafka, json-c, OpenSSL, libuuid and inih each stand in their own file"""
    for path in c_files(("include", "common", "worker")):
        for header in foreign_includes(path):
            for pattern, homes in FOREIGN_HOMES.items():
                if fnmatch.fnmatch(header, pattern) and not any(fnmatch.fnmatch(path, home) for home in homes):
                    yield f"{path} includes <{header}>, which stands in {', '.join(homes)} only"


def _symbols(*options):
    listed = subprocess.run(["nm", *options, str(ROOT / "build/libcommon.a")], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    return {line.split()[-1] for line in listed.splitlines() if line and not line.endswith(":")}


def check_purity():
    """libcommon.a takes nothing that does input or output, reads a clock or is random"""
    for symbol in sorted(_symbols("-u") - _symbols("--defined-only") - set(PURE_SYMBOLS)):
        yield f"the core calls {symbol}"


def check_file_length():
    """no file of code over 500 lines"""
    for path in all_files():
        if path.endswith((".c", ".h", ".py", ".js", ".jsx", ".css")) or path in ("tests/run", "Makefile"):
            lines = text_of(path).count("\n")
            if lines > FILE_LINES_MAX:
                yield f"{path} has {lines} lines"


def _functions(text):
    """(name, first line, number of lines) of each function; a body's braces stand in column 1."""
    lines = text.split("\n")
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            head = " ".join(lines[max(0, start - 6):start])
            names = re.findall(r"(\w+)\s*\(", re.split(r"[;}]", head)[-1])
            yield (names[0] if names else "?"), start, number - start
            start = None


def check_function_length():
    """no function over 70 lines"""
    for path in c_files(suffixes=(".c",)):
        for name, line, length in _functions(text_of(path)):
            if length > FUNCTION_LINES_MAX:
                yield f"{path}:{line}: {name}() has {length} lines"


def check_headers_alone():
    """every header guards against being read twice"""
    for path in c_files(("include", "common", "worker"), (".h",)):
        guard = "WINNOW_" + re.sub(r"\W", "_", Path(path).name).upper()
        if f"#ifndef {guard}\n#define {guard}\n" not in text_of(path) and "#pragma once" not in text_of(path):
            yield f"{path} lacks the guard {guard}"
