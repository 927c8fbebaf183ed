#include "letter_json.h"

#include "console/message_json.h"
#include "console/rows_json.h"
#include "dead_letter_work.h"
#include "json.h"

void letter_json_summary(struct buffer *out, const struct rows *rows, size_t row)
{
    json_cell_raw(out, "partition", (struct cell){rows, row, LETTER_PARTITION});
    json_cell_raw(out, "offset", (struct cell){rows, row, LETTER_OFFSET});
    json_cell_text(out, "reason", (struct cell){rows, row, LETTER_REASON});
    json_cell_text(out, "detail", (struct cell){rows, row, LETTER_DETAIL});
    json_cell_text(out, "sqlstate", (struct cell){rows, row, LETTER_SQLSTATE});
    json_cell_text(out, "client_id", (struct cell){rows, row, LETTER_CLIENT});
    json_cell_time(out, "failed_at", (struct cell){rows, row, LETTER_FAILED_AT});
    json_cell_time(out, "message_time", (struct cell){rows, row, LETTER_MESSAGE_TIME});
    json_cell_text(out, "state", (struct cell){rows, row, LETTER_STATE});
    json_cell_text(out, "value_preview", (struct cell){rows, row, LETTER_PREVIEW});
    json_cell_raw(out, "value_bytes", (struct cell){rows, row, LETTER_VALUE_BYTES});
}

void letter_json_whole(struct buffer *out, struct rows *rows, const struct rows *history)
{
    letter_json_summary(out, rows, 0);
    json_cell_text(out, "event_hash", (struct cell){rows, 0, LETTER_HASH});
    json_message_text(out, "key_text", rows_bytes(rows, 0, LETTER_KEY));
    json_message_text(out, "value_text", rows_bytes(rows, 0, LETTER_VALUE));
    json_cell_text(out, "value_base64", (struct cell){rows, 0, LETTER_VALUE_BASE64});
    json_message_headers(out, rows_bytes(rows, 0, LETTER_HEADERS));
    json_cell_origin(out, "stored_as", (struct cell){rows, 0, LETTER_STORED_TOPIC});
    json_cell_time(out, "published_at", (struct cell){rows, 0, LETTER_PUBLISHED_AT});
    json_name(out, "history");
    json_open(out, '[');
    for (size_t row = 0; row < rows_count(history); row++) letter_json_action(out, NULL, history, row);
    json_close(out, ']');
}

void letter_json_action(struct buffer *out, const char *name, const struct rows *rows, size_t row)
{
    json_name(out, name);
    json_open(out, '{');
    json_cell_raw(out, "action_id", (struct cell){rows, row, ACTION_ID});
    json_cell_raw(out, "partition", (struct cell){rows, row, ACTION_PARTITION});
    json_cell_raw(out, "offset", (struct cell){rows, row, ACTION_OFFSET});
    json_cell_text(out, "action", (struct cell){rows, row, ACTION_NAME});
    json_cell_time(out, "at", (struct cell){rows, row, ACTION_AT});
    json_cell_text(out, "actor", (struct cell){rows, row, ACTION_ACTOR});
    json_cell_text(out, "note", (struct cell){rows, row, ACTION_NOTE});
    json_cell_origin(out, "sent_to", (struct cell){rows, row, ACTION_SENT_TOPIC});
    json_cell_text(out, "outcome", (struct cell){rows, row, ACTION_OUTCOME});
    json_close(out, '}');
}
