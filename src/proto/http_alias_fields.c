#include "proto/http_alias_fields.h"

#include "base/assert.h"
#include "proto/uri.h"

static const char *const names[ALIAS_FIELDS] = {
    [ALIAS_KEY] = "key",         [ALIAS_VALUE] = "value", [ALIAS_TTL] = "ttl",
    [ALIAS_FORMAT] = "format",   [ALIAS_START] = "start", [ALIAS_END] = "end",
    [ALIAS_ADDRESS] = "address", [ALIAS_URL] = "url",     [ALIAS_WEIGHT] = "weight",
};

/* Decode one piece into the room that is left of `*room`. */
static STATUS take_decoded(struct bytes coded, uint8_t **room, struct bytes *ret_text) {
    TRY(uri_decode_query(coded, *room, ret_text));
    if (ret_text->len > 0 && ret_text->ptr == *room) *room += ret_text->len;
    return status_of(ST_OK);
}

STATUS http_alias_read_form(struct bytes form, uint8_t *room, struct alias_fields *ret_fields) {
    const uint8_t *const room_end = room + form.len;
    struct bytes name;
    struct bytes value;
    *ret_fields = (struct alias_fields){ .given = 0 };
    while (uri_query_next(&form, &name, &value)) {
        TRY(take_decoded(name, &room, &name));
        TRY(take_decoded(value, &room, &value));
        ASSERT(room <= room_end);
        for (uint32_t i = 0; i < ALIAS_FIELDS; i++) {
            if ((ret_fields->given >> i & 1) != 0) continue;
            if (!bytes_equal(name, bytes_of_string(names[i]))) continue;
            ret_fields->given |= 1u << i;
            ret_fields->values[i] = value;
        }
    }
    return status_of(ST_OK);
}

static STATUS take_member(uint32_t field, const json_t *value, struct alias_fields *fields) {
    if (json_is_null(value)) return status_of(ST_OK);
    if (field == ALIAS_WEIGHT) {
        if (!json_is_integer(value) || json_integer_value(value) < 0) return status_of(ST_INVALID);
        fields->weight = (uint64_t)json_integer_value(value);
    } else {
        if (!json_is_string(value)) return status_of(ST_INVALID);
        fields->values[field] = bytes_of(json_string_value(value), json_string_length(value));
    }
    fields->given |= 1u << field;
    return status_of(ST_OK);
}

STATUS http_alias_read_json(const json_t *object, uint32_t wanted,
                            struct alias_fields *ret_fields) {
    const char *name;
    json_t *value;
    ASSERT(wanted >> ALIAS_FIELDS == 0);
    *ret_fields = (struct alias_fields){ .given = 0 };
    if (!json_is_object(object)) return status_of(ST_INVALID);
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        for (uint32_t i = 0; i < ALIAS_FIELDS; i++) {
            if ((wanted >> i & 1) == 0) continue;
            if (bytes_equal_nocase(bytes_of_string(name), names[i]))
                TRY(take_member(i, value, ret_fields));
        }
    }
    return status_of(ST_OK);
}
