# Turns the "// link:" lines of test programs into make prerequisites. -v build=DIRECTORY.
/^\/\/ link:/ {
    program = FILENAME
    sub(/\.c$/, "", program)
    line = build "/" program ":"
    for (i = 3; i <= NF; i++) {
        object = $i
        sub(/\.c$/, "", object)
        line = line " " build "/obj/" object ".o"
    }
    print line
}
