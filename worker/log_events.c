#include "log_events.h"

#include <stdio.h>
#include <string.h>

#include "wrap.h"

#define ERROR   LOG_LEVEL_ERROR
#define WARNING LOG_LEVEL_WARNING
#define INFO    LOG_LEVEL_INFO
#define DEBUG   LOG_LEVEL_DEBUG
#define NOTHING "nothing"

const struct log_event log_events[] = {
    {"assigned", INFO, "the consumer group gave this worker partitions", NOTHING},
    {"batch", DEBUG, "one batch was committed, with what became of its messages", NOTHING},
    {"cannot_start", ERROR,
     "the worker found its configuration, the topic, the schema or the brokers wrong and ended",
     "what the line says; `winnow config check` reads the configuration"},
    {"configuration_wrong", ERROR, "what a reload found wrong, and where; `reload_refused` follows",
     "mend it, then reload again"},
    {"control_refused", WARNING,
     "another user than root and the pool's own asked it for something over its socket",
     "run `winnow pool COMMAND` as one of these"},
    {"database_rejected", WARNING, "PostgreSQL refused one event, which became a dead letter",
     "`winnow dlq show ID`; mend the cause, then `winnow dlq replay`"},
    {"dead_letters_published", INFO, "dead letters reach their topic again", NOTHING},
    {"dead_letters_waiting", WARNING,
     "dead letters cannot be published; they are kept in `winnow.dead_letter` and published later",
     "see that the dead-letter topic exists and may be written to, when it lasts"},
    {"descriptor_limit", WARNING, "the console could not raise the limit of open files",
     "raise it (LimitNOFILE=, ulimit -n) where more than some hundred clients are expected"},
    {"exec_failed", ERROR, "the pool could not execute its own program as a worker",
     "see that /proc is there and the program's file was not taken away"},
    {"fenced", WARNING, "another worker has claimed the partition; nothing was written twice", NOTHING},
    {"fork_failed", ERROR, "the system refused another process; the pool tries again",
     "raise the limit of processes or memory (TasksMax=, MemoryMax=, ulimit -u)"},
    {"gap", INFO, "offsets hold no messages: compaction or a transaction; it is written down", NOTHING},
    {"header_refused", ERROR, "the HTTP library did not take a header of a response", "report it"},
    {"housekeep_failed", WARNING, "the partitions for the months ahead were not created; workers create them",
     "what the line says, when it comes every hour"},
    {"housekeeper_ended", WARNING, "the hourly housekeeping was ended by a signal; it runs again", NOTHING},
    {"http", DEBUG, "a message of the HTTP library", NOTHING},
    {"jump", DEBUG, "the next message came from further on; it is read again before that is believed",
     NOTHING},
    {"kafka_client", WARNING, "librdkafka has something to say, such as a broker it cannot reach",
     "nothing; look at the brokers and the network if it lasts"},
    {"kafka_trouble", WARNING, "reading from Kafka fails for the moment; it goes on by itself",
     "nothing; look at the brokers if it lasts"},
    {"message_quarantined", ERROR,
     "three workers died with the same message in hand; it becomes a dead letter unread",
     "keep the message from `winnow.dead_letter` (reason crashed_worker) and report it"},
    {"message_suspected", WARNING, "a worker died with this message in hand", NOTHING},
    {"metrics_http", DEBUG, "a request for the metrics was cut or made no sense", NOTHING},
    {"metrics_listening", INFO, "where the pool answers /metrics, /livez and /readyz", NOTHING},
    {"metrics_not_listening", WARNING,
     "another process has the address; at the default address the pool runs without /metrics, at one that "
     "was "
     "asked for it ends",
     "`metrics_listen`: an address of its own, or off"},
    {"no_control_socket", WARNING, "the pool could not make its socket; it takes signals only",
     "what the line says, or set `control_socket`"},
    {"no_partitions", WARNING, "there are more workers than partitions; this one is idle",
     "fewer workers, or more partitions"},
    {"nothing_to_reload", INFO, "HUP reads the console's file of tokens again, and there is none", NOTHING},
    {"notify_failed", WARNING, "systemd could not be told how the pool goes (sd_notify)",
     "see that NOTIFY_SOCKET is what systemd set, and that a container has the socket mounted"},
    {"operator_needed", ERROR,
     "a grant, a table or a password is missing; nothing is lost, it tries again every 30 s",
     "what the line says"},
    {"out_of_descriptors", WARNING,
     "the pool has no file descriptor left, so that nobody reaches its control socket or its metrics",
     "raise the limit (LimitNOFILE=, ulimit -n), or see who holds connections to them"},
    {"outage_begun", WARNING, "workers are cut off the database, as the console was asked to simulate",
     NOTHING},
    {"outage_ended_early", WARNING, "the simulated outage cannot be kept up", NOTHING},
    {"outage_over", INFO, "the simulated outage is over", NOTHING},
    {"outcomes_unknown", WARNING, "the console cannot ask the database what became of events",
     "look at the database if it lasts"},
    {"partition_halted", ERROR,
     "the circuit breaker, a changed topic or an offset out of range: the partition is read no further",
     "mend what the line says, then `winnow resume TOPIC/PARTITION --at next`"},
    {"partition_later", WARNING,
     "a month's partition of `winnow.event` could not be made while a long query holds the lock; its events "
     "go to the DEFAULT partition and are moved later",
     NOTHING},
    {"partition_opened", INFO, "a partition is claimed, and read from this offset on", NOTHING},
    {"partition_stalled", WARNING,
     "Kafka's client stopped reading a partition, or all transactions there are aborted; it is read anew, "
     "and the next time by a new worker",
     "nothing; look at the brokers if it comes again"},
    {"pool_draining", WARNING, "`winnow pool drain`: the workers end and none is started",
     "`winnow pool resume` when it is time"},
    {"pool_joined", INFO, "all workers are members of the group: the pool is ready", NOTHING},
    {"pool_killing", WARNING, "a second signal came: the workers are killed, which loses nothing", NOTHING},
    {"pool_not_resized", WARNING, "TTIN or TTOU came while the pool stops, or at its least or most workers",
     NOTHING},
    {"pool_quiet", WARNING, "`winnow pool quiet`: the workers keep their partitions and take nothing new",
     "`winnow pool resume` when it is time"},
    {"pool_renewing", INFO, "HUP came: workers are replaced one after the other", NOTHING},
    {"pool_resized", INFO, "TTIN or TTOU came: one worker more or fewer", NOTHING},
    {"pool_resumed", INFO, "the pool works again after quiet or drain", NOTHING},
    {"pool_stopped", INFO, "all workers have ended", NOTHING},
    {"pool_stopping", ERROR,
     "a stop signal came (info); or a worker ended in a way that starting it again would not mend (error)",
     "after an error what the last line of that worker says"},
    {"producer_renewed", WARNING, "the console's Kafka producer met a fatal error and is made anew", NOTHING},
    {"progress_unknown", WARNING, "the console cannot ask Kafka or the database for the progress",
     "look at the server that the line names if it lasts"},
    {"quiet", INFO, "this worker takes nothing new", NOTHING},
    {"recovered", INFO, "the trouble that `retrying` told of is over", NOTHING},
    {"reload_refused", ERROR,
     "HUP or `winnow pool reload` found the configuration wrong; pool and workers keep the one they have",
     "mend what the lines before tell, then reload again"},
    {"renewal_stopped", ERROR,
     "after HUP a new worker found its configuration wrong; the old ones that are left go on",
     "mend it, then HUP again; `winnow config check` reads it"},
    {"request", DEBUG, "a request to the console was answered", NOTHING},
    {"request_failed", ERROR, "a request to the console failed on Kafka or the database",
     "what the line says; a warning, when it is likely to pass"},
    {"resumed", INFO, "this worker takes messages again", NOTHING},
    {"retention_loss", ERROR, "Kafka deleted messages before they were read",
     "longer retention, or more workers; the range is in `winnow.batch_log`"},
    {"retry_unwritten", WARNING,
     "Kafka took a failure sent again after its request was answered, and that is not written down",
     "nothing: it is open again after a minute, and an event that is sent twice is stored once"},
    {"retrying", WARNING,
     "the database or Kafka is away; it backs off from 50 ms to 1 s, and tells once a minute",
     "nothing; look at the server if it lasts"},
    {"revoked", INFO, "the consumer group took partitions back", NOTHING},
    {"sample_incomplete", DEBUG, "the console's live view could not ask for one partition", NOTHING},
    {"steered", INFO, "an operator moved or resumed a partition; its worker goes on where the database says",
     NOTHING},
    {"stuck_sessions_ended", WARNING,
     "a worker froze, or its network broke, in the middle of a statement and its session held the progress "
     "rows or dead letters; it was ended, nothing of it was committed",
     NOTHING},
    {"tokens_kept", ERROR, "HUP found the console's file of tokens wrong; those read earlier stay in force",
     "mend the file as the line before says, then HUP again"},
    {"tokens_reloaded", INFO, "the console has read its file of tokens again", NOTHING},
    {"unexpected_argument", ERROR, "there was something behind the options", "take it away"},
    {"upkeep_failed", WARNING, "the console could not keep the database quick to ask; its answers stay right",
     "look at the database if it lasts"},
    {"waiting_for_database", WARNING, "the worker cannot begin before the database answers",
     "look at the database if it lasts"},
    {"worker_done", INFO, "a worker ended in good order; what it had counted", NOTHING},
    {"worker_ended", WARNING,
     "a worker ended; the line tells how, and when it is started again: after 0.1 to 5 s, or, if it died in "
     "a "
     "group with others, when the group has let go of it (`session.timeout.ms`); 30 s after exit code 78",
     "see the lines before it"},
    {"worker_failed", ERROR, "a worker met what it cannot mend and ends; the pool starts another one",
     "what the line says; integrity errors of the database (SQLSTATE XX) stop the pool"},
    {"worker_killed", WARNING, "a worker did not end in time and was killed, which loses nothing", NOTHING},
    {"worker_started", INFO, "the pool started a worker", NOTHING},
    {"worker_stuck", ERROR, "a worker gives no sign of life; systemd starts the pool again if that lasts",
     "nothing; report it with the lines before it if it comes again"},
    {NULL, LOG_LEVEL_ERROR, NULL, NULL},
};

const struct log_event *log_event_find(const char *name)
{
    for (const struct log_event *event = log_events; event->name != NULL; event++) {
        if (strcmp(event->name, name) == 0) return event;
    }
    return NULL;
}

void log_events_print_markdown(void)
{
    (void)printf("| event | level | what it means | what to do |\n|---|---|---|---|\n");
    for (const struct log_event *event = log_events; event->name != NULL; event++) {
        if (event->level == LOG_LEVEL_DEBUG) continue;
        (void)printf("| `%s` | %s | %s | %s |\n", event->name, log_level_name(event->level), event->meaning,
                     event->action);
    }
}

void log_event_print(const struct log_event *event)
{
    struct buffer text = {0};
    (void)buffer_add(&text, "Means: ", 7);
    wrap_text(&text, 7, 7, event->meaning);
    (void)buffer_add(&text, "To do: ", 7);
    wrap_text(&text, 7, 7, event->action);
    (void)printf("%s (%s)\n%.*s", event->name, log_level_name(event->level), (int)text.size, text.data);
    buffer_done(&text);
}

void log_events_print(void)
{
    (void)printf("The events of the log; `winnow help EVENT` tells of one:\n");
    for (const struct log_event *event = log_events; event->name != NULL; event++) {
        struct buffer text = {0};
        wrap_text(&text, 25, 25, event->meaning);
        (void)printf("  %-22s %.*s", event->name, (int)text.size, text.data);
        buffer_done(&text);
    }
}
