/* While the scanner passes over a message, every member with a name that a field could have is put down in a
 * slot for its place, field and name; a later equal key takes the slot over (F-6). Choosing among the slots
 * waits until the whole message is known. */
#include "fields.h"

#include <stdint.h>

#define NAME_SIZE_MAX 10 /* of the names below */
#define NAME_ROOM     16 /* for one, with zeros behind it: compared as a whole */
#define SLOT_PAYLOAD  (FIELD_COUNT * FIELDS_NAMES_MAX)
#define SLOT_DATA     (SLOT_PAYLOAD + 1)
#define SLOT_NONE     (-1)

/* F-2 as F-1 sees it: lower case, nothing between the words. Sorted by size. */
struct name {
    char text[NAME_ROOM];
    int8_t slot;
};

#define SLOT(field, order) ((int)(field)*FIELDS_NAMES_MAX + (order))

static const struct name names[] = {
    {"sum", SLOT(FIELD_AMOUNT, 2)},          {"type", SLOT(FIELD_METRIC, 1)},
    {"time", SLOT(FIELD_TIMESTAMP, 1)},      {"data", SLOT_DATA},
    {"value", SLOT(FIELD_AMOUNT, 1)},        {"metric", SLOT(FIELD_METRIC, 0)},
    {"amount", SLOT(FIELD_AMOUNT, 0)},       {"client", SLOT(FIELD_CLIENT_ID, 1)},
    {"source", SLOT(FIELD_CLIENT_ID, 2)},    {"payload", SLOT_PAYLOAD},
    {"clientid", SLOT(FIELD_CLIENT_ID, 0)},  {"timestamp", SLOT(FIELD_TIMESTAMP, 0)},
    {"createdat", SLOT(FIELD_TIMESTAMP, 2)}, {"metricname", SLOT(FIELD_METRIC, 2)},
};

/* The first name of each size; the next entry ends it. */
static const uint8_t first_of_size[NAME_SIZE_MAX + 2] = {0, 0, 0, 0, 1, 4, 5, 9, 10, 11, 13, 14};

void fields_init(struct fields *fields)
{
    *fields = (struct fields){.decoder = jsonstring_new()};
}

void fields_done(struct fields *fields)
{
    jsontext_done(&fields->scanner);
    jsonstring_free(fields->decoder);
    buffer_done(&fields->decoded);
}

/* --- names --- */

/* F-1: the letters that count, in lower case; 0 when they are too many for any name. */
static size_t fold(struct slice key, char ret_folded[NAME_ROOM])
{
    size_t size = 0;
    for (size_t i = 0; i < key.size; i++) {
        char c = key.data[i];
        if (c == '_' || c == '-' || c == ' ') continue;
        if (size == NAME_SIZE_MAX) return 0;
        ret_folded[size++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return size;
}

static int slot_of(struct slice key)
{
    char folded[NAME_ROOM] = {0};
    size_t size = fold(key, folded);
    for (size_t i = first_of_size[size]; i < first_of_size[size + 1]; i++) {
        if (memcmp(folded, names[i].text, NAME_ROOM) == 0) return names[i].slot;
    }
    return SLOT_NONE;
}

/* The tokens of a message do not overlap, so all of them decoded take no more room than the message itself,
 * and the strings within an embedded object (F-3) as much again. With that room the bytes never move. */
static struct slice decode(struct fields *fields, struct slice text)
{
    size_t begin = fields->decoded.size;
    (void)buffer_reserve(&fields->decoded, 2 * fields->text.size - begin);
    jsonstring_decode(fields->decoder, text, &fields->decoded);
    return slice_of(fields->decoded.data + begin, fields->decoded.size - begin);
}

static int slot_of_token(struct fields *fields, const struct jsontext_token *key)
{
    if (!key->escaped) return slot_of(key->text);
    size_t mark = fields->decoded.size;
    int slot = slot_of(decode(fields, key->text));
    fields->decoded.size = mark;
    return slot;
}

/* --- scanning --- */

static enum place place_of(int slot)
{
    return slot == SLOT_PAYLOAD ? PLACE_PAYLOAD : PLACE_DATA;
}

static bool on_enter(void *context, const struct jsontext_token *key)
{
    struct fields *fields = context;
    int slot = fields->outer == PLACE_TOP ? slot_of_token(fields, key) : SLOT_NONE;
    if (slot != SLOT_PAYLOAD && slot != SLOT_DATA) return false;
    fields->entered = place_of(slot);
    fields->members[fields->entered].present = 0; /* F-6: an earlier payload no longer counts */
    return true;
}

/* F-3, F-6: what the key `payload` or `data` holds; an object has been shown already. */
static void set_container(struct fields *fields, enum place place, const struct jsontext_token *value)
{
    fields->is_text[place] = value->kind == JSONTEXT_STRING;
    fields->texts[place] = *value;
    if (value->kind != JSONTEXT_OBJECT) fields->members[place].present = 0;
}

static void on_member(void *context, bool inner, const struct jsontext_token *key,
                      const struct jsontext_token *value)
{
    struct fields *fields = context;
    int slot = slot_of_token(fields, key);
    if (slot == SLOT_NONE) return;
    if (slot >= SLOT_PAYLOAD) {
        if (!inner && fields->outer == PLACE_TOP) set_container(fields, place_of(slot), value);
        return;
    }
    struct place_members *members = &fields->members[inner ? fields->entered : fields->outer];
    members->present |= 1U << slot;
    members->candidates[slot].key = key->text;
    members->candidates[slot].value = *value;
}

static enum jsontext_result scan(struct fields *fields, enum place place, struct slice text,
                                 struct jsontext_report *ret_report)
{
    const struct jsontext_visitor visitor = {.enter = on_enter, .member = on_member, .context = fields};
    fields->outer = place;
    return jsontext_scan(&fields->scanner, text, &visitor, ret_report);
}

/* F-3: a string that is itself a JSON object, one level. Anything else there is ignored. */
static void scan_embedded(struct fields *fields, enum place place)
{
    struct jsontext_report report;
    const struct jsontext_token *token = &fields->texts[place];
    struct slice text = token->escaped ? decode(fields, token->text) : token->text;
    bool object = scan(fields, place, text, &report) == JSONTEXT_OK && report.kind == JSONTEXT_OBJECT;
    if (!object) fields->members[place].present = 0;
}

enum jsontext_result fields_scan(struct fields *fields, struct slice text, struct jsontext_report *ret_report)
{
    fields->text = text;
    buffer_clear(&fields->decoded);
    for (enum place place = PLACE_TOP; place <= PLACE_DATA; place++) {
        fields->members[place].present = 0;
        fields->is_text[place] = false;
    }
    enum jsontext_result result = scan(fields, PLACE_TOP, text, ret_report);
    if (result != JSONTEXT_OK) return result;
    if (fields->is_text[PLACE_PAYLOAD]) scan_embedded(fields, PLACE_PAYLOAD);
    if (fields->is_text[PLACE_DATA]) scan_embedded(fields, PLACE_DATA);
    return JSONTEXT_OK;
}

/* --- choosing --- */

/* F-2: null and white space alone count as absent. */
static bool is_absent(struct fields *fields, const struct candidate *candidate, struct slice *ret_text)
{
    const struct jsontext_token *value = &candidate->value;
    *ret_text = value->text;
    if (value->kind != JSONTEXT_STRING) return value->kind == JSONTEXT_NULL;
    *ret_text = slice_trim(value->escaped ? decode(fields, value->text) : value->text);
    return ret_text->size == 0;
}

static bool pick_from(struct fields *fields, enum place place, enum field field, struct pick *ret_pick)
{
    const struct place_members *members = &fields->members[place];
    for (int slot = SLOT(field, 0); slot < SLOT(field, FIELDS_NAMES_MAX); slot++) {
        const struct candidate *candidate = &members->candidates[slot];
        struct slice text;
        if ((members->present >> slot & 1) == 0 || is_absent(fields, candidate, &text)) continue;
        ret_pick->finding.place = place;
        ret_pick->finding.key = candidate->key;
        ret_pick->finding.value = candidate->value.text;
        ret_pick->kind = candidate->value.kind;
        ret_pick->integer = candidate->value.integer;
        ret_pick->text = text;
        return true;
    }
    return false;
}

void fields_pick(struct fields *fields, enum field field, struct pick *ret_pick)
{
    /* F-3: the sender stands on the envelope, the rest in what it holds. */
    static const enum place client_places[] = {PLACE_TOP, PLACE_PAYLOAD, PLACE_DATA};
    static const enum place other_places[] = {PLACE_PAYLOAD, PLACE_DATA, PLACE_TOP};
    const enum place *places = field == FIELD_CLIENT_ID ? client_places : other_places;
    ret_pick->finding = (struct finding){.place = PLACE_NONE};
    for (size_t i = 0; i < ARRAY_COUNT(client_places); i++) {
        if (pick_from(fields, places[i], field, ret_pick)) return;
    }
}
