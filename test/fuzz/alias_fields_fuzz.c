/* Any bytes as a form and as a JSON object of an older store's request: fields that lie in
 * the input, the room or the JSON, and the same when it is read again. */
#include "proto/http_alias_fields.h"

#include "base/assert.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fields(const struct alias_fields *f) {
    volatile uint8_t sum = 0;
    for (uint32_t i = 0; i < ALIAS_FIELDS; i++) {
        const struct bytes value = f->values[i];
        if ((f->given >> i & 1) == 0) ASSERT(value.len == 0);
        for (size_t k = 0; k < value.len; k++) sum = (uint8_t)(sum + value.ptr[k]); /* readable */
    }
}

static void read_form(const uint8_t *data, size_t size) {
    /* Exactly as much room as is promised to suffice. */
    uint8_t *form = mem_alloc(size + 1);
    uint8_t *room = mem_alloc(size + 1);
    struct alias_fields fields;
    memcpy(form + 1, data, size);
    if (status_ok(http_alias_read_form(bytes_of(form + 1, size), room + 1, &fields)))
        check_fields(&fields);
    mem_free(form);
    mem_free(room);
}

static void read_json(const uint8_t *data, size_t size) {
    static const uint32_t pair = ALIAS_FIELD(KEY) | ALIAS_FIELD(VALUE) | ALIAS_FIELD(TTL);
    static const uint32_t server = ALIAS_FIELD(URL) | ALIAS_FIELD(WEIGHT);
    json_t *json = json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    struct alias_fields fields;
    if (json == NULL) return;
    if (status_ok(http_alias_read_json(json, pair, &fields))) {
        ASSERT((fields.given & ~pair) == 0);
        check_fields(&fields);
    }
    if (status_ok(http_alias_read_json(json, server, &fields))) {
        ASSERT((fields.given & ~server) == 0);
        ASSERT((fields.given & ALIAS_FIELD(WEIGHT)) != 0 || fields.weight == 0);
        check_fields(&fields);
    }
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_form(data, size);
    read_json(data, size);
    return 0;
}
