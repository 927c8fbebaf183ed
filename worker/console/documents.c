/* What is the same for everyone: files inside the binary, and who asks. */
#include <stdio.h>
#include <string.h>

#include "console/call_state.h"
#include "console/console.h"
#include "console/gunzip.h"
#include "console/outage.h"
#include "console/page.h"
#include "console/routes.h"
#include "console/tokens.h"
#include "instant.h"
#include "json.h"
#include "version.h"

/* In place of the page, when there is none: everything else of the console works. */
static const char no_page[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>winnow console</title>"
    "<h1>This build of winnow has no page</h1><p>It was built without npm. To have the page: "
    "<code>make page &amp;&amp; make</code>, and start <code>winnow console</code> again.</p>"
    "<p>The API is complete: <a href=\"/docs\">its reference</a>, "
    "<a href=\"/openapi.json\">its contract</a>.</p></html>\n";

void handle_livez(struct call *call)
{
    call_answer(call, 200, "text/plain; charset=utf-8");
    if (!call_add(call, "ok\n", 3)) return; /* the client left */
}

static const struct page_file *find_file(const struct page_file *files, size_t count, struct slice path)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equals(slice_of_text(files[i].path), path)) return &files[i];
    }
    return NULL;
}

static bool accepts_gzip(const struct call *call)
{
    const char *accepted = call_header(call, "Accept-Encoding");
    return accepted != NULL && strstr(accepted, "gzip") != NULL && strstr(accepted, "gzip;q=0") == NULL;
}

/* For the few clients that take no gzip; browsers do. */
static void send_plain(struct call *call, const struct page_file *file)
{
    struct buffer plain = {0};
    gunzip(slice_of((const char *)file->gzip, file->length), &plain);
    bool here = call_add(call, plain.data, plain.size);
    buffer_done(&plain);
    if (!here) return; /* the client left */
}

/* A browser that has the file asks whether it is still the same. */
static void send_file(struct call *call, const struct page_file *file)
{
    const char *known = call_header(call, "If-None-Match");
    bool same = known != NULL && strstr(known, file->etag) != NULL;
    call_answer(call, same ? 304 : 200, file->media_type);
    call_answer_header(call, "ETag", file->etag);
    call_answer_header(call, "Cache-Control", "no-cache");
    call_answer_header(call, "Vary", "Accept-Encoding");
    if (same) return;
    if (!accepts_gzip(call)) {
        send_plain(call, file);
        return;
    }
    call_answer_header(call, "Content-Encoding", "gzip");
    if (!call_add(call, file->gzip, file->length)) return; /* the client left */
}

void handle_document(struct call *call)
{
    const struct page_file *file = find_file(document_files, document_files_count, call->uri.path);
    send_file(call, file); /* the table of routes names no others */
}

void handle_page(struct call *call)
{
    const struct page_file *file = find_file(page_files, page_files_count, call->uri.path);
    if (file != NULL) {
        send_file(call, file);
    } else if (page_files_count == 0 && slice_equals(call->uri.path, slice_of_text("/"))) {
        call_answer(call, 200, "text/html; charset=utf-8");
        if (!call_add(call, no_page, sizeof no_page - 1)) return; /* the client left */
    } else {
        call_refuse(
            call, &(struct refusal){.problem = PROBLEM_NOT_FOUND,
                                    .detail = "there is no such path; /openapi.json lists those of the API"});
    }
}

void handle_session(struct call *call)
{
    struct buffer out = {0};
    char until[INSTANT_TEXT_SIZE];
    const struct settings *settings = call_settings(call);
    int64_t until_ms = outage_until(call->console->outage);
    json_open(&out, '{');
    json_text(&out, "actor", call_actor(call));
    json_text(&out, "role", role_name(call->role));
    json_bool(&out, "read_only", setting_is_on(settings->read_only));
    json_bool(&out, "fault_injection", setting_is_on(settings->allow_fault_injection));
    json_bool(&out, "token_required", call->console->tokens != NULL);
    json_text(&out, "topic", settings->topic);
    json_text(&out, "group", settings->group);
    json_text(&out, "brokers", settings->brokers);
    json_text(&out, "version", WINNOW_VERSION);
    if (until_ms != 0) (void)instant_print(until_ms * 1000, until);
    json_text(&out, "outage_until", until_ms != 0 ? until : NULL);
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
}
