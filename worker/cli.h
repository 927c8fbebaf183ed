/* The front door: which command the first argument names. */
#ifndef WINNOW_CLI_H
#define WINNOW_CLI_H

/* Runs `winnow ARGUMENTS`, argv[0] being the program. Returns an exit code (exit_code.h). */
int cli_run(int argc, char **argv);

#endif
