/* The handlers of all routes. openapi.json says what each takes and answers. */
#ifndef WINNOW_ROUTES_H
#define WINNOW_ROUTES_H

struct call;

/* documents.c: what is the same for everyone */
void handle_livez(struct call *call);
void handle_document(struct call *call); /* /openapi.json, /docs and what belongs to it */
void handle_page(struct call *call);     /* the console's page */
void handle_session(struct call *call);

/* events.c: what was stored */
void handle_events(struct call *call);
void handle_event(struct call *call);
void handle_message_state(struct call *call);

/* failed.c: dead letters */
void handle_failed_groups(struct call *call);
void handle_failed_items(struct call *call);
void handle_failed_actions(struct call *call);
void handle_failed_item(struct call *call);

/* failed_retry.c */
void handle_failed_retry(struct call *call);
void handle_failed_group_retry(struct call *call);

/* failed_discard.c */
void handle_failed_discard(struct call *call);
void handle_failed_undo(struct call *call);
void handle_failed_group_discard(struct call *call);
void handle_failed_group_undo(struct call *call);

/* aggregates.c */
void handle_aggregates(struct call *call);

/* events_submit.c */
void handle_submit(struct call *call);

/* explain.c */
void handle_explain(struct call *call);

/* raw.c */
void handle_raw(struct call *call);

/* live.c */
void handle_live(struct call *call);

/* faults.c */
void handle_outage(struct call *call);

/* progress_answer.c */
void handle_status(struct call *call);
void handle_completeness(struct call *call);
void handle_workers(struct call *call);

#endif
