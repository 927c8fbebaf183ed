/* The header of a message by which a failure is simulated, where --allow-fault-injection says so. */
#ifndef WINNOW_SIMULATE_H
#define WINNOW_SIMULATE_H

/* With the value "database" PostgreSQL is made to refuse the row of the message's event. */
#define SIMULATE_FAILURE_HEADER "winnow-simulate-failure"

#endif
