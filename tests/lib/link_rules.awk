# Turns the "// link:" lines of test programs into make prerequisites. -v build=DIRECTORY.
/^\/\/ link:/ {
    program = FILENAME
    sub(/\.c$/, "", program)
    line = build "/" program ":"
    for (i = 3; i <= NF; i++) {
        object = $i
        sub(/\.c$/, "", object)
        if (object == "worker/log") # comes with its parts
            line = line " " build "/obj/worker/log_format.o " build "/obj/worker/log_limit.o " build "/obj/worker/log_output.o"
        line = line " " build "/obj/" object ".o"
    }
    print line
}
