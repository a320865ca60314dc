#include "cli/json_field.h"

#include "base/log.h"

bool json_field_number(const json_t *object, const char *name, uint64_t *ret_number) {
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *ret_number = (uint64_t)json_integer_value(value);
    return true;
}

bool json_field_text(const json_t *object, const char *name, char *text, size_t text_bytes) {
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) return false;
    log_escape(bytes_of(json_string_value(value), json_string_length(value)), text, text_bytes);
    return true;
}
