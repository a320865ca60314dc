#include "proto/etag.h"

#include "base/assert.h"

static size_t print_hex(uint8_t *text, uint64_t value) {
    const size_t digits = value == 0 ? 1 : (67u - (size_t)__builtin_clzll(value)) / 4;
    for (size_t i = digits; i-- > 0; value >>= 4)
        text[i] = (uint8_t) "0123456789abcdef"[value & 15];
    return digits;
}

size_t etag_print(struct ballot version, uint8_t text[BALLOT_TEXT_BYTES]) {
    size_t len = print_hex(text, version.stamp);
    text[len++] = '.';
    len += print_hex(text + len, version.node);
    text[len++] = '.';
    len += print_hex(text + len, version.boot);
    ASSERT(len < BALLOT_TEXT_BYTES);
    return len;
}

/* The number before the next dot or the end of the text; no leading zeros, no capitals. */
static bool parse_hex(struct bytes *text, size_t digits_max, uint64_t *ret_value) {
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text->len && text->ptr[i] != '.'; i++) {
        const uint8_t c = text->ptr[i];
        const bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f')) return false;
        if (i == digits_max) return false;
        value = value << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    if (i == 0 || (i > 1 && text->ptr[0] == '0')) return false;
    const size_t used = i < text->len ? i + 1 : i;
    *text = bytes_of(text->ptr + used, text->len - used);
    *ret_value = value;
    return true;
}

STATUS etag_parse(struct bytes text, struct ballot *ret_version) {
    uint64_t stamp = 0;
    uint64_t node = 0;
    uint64_t boot = 0;
    if (text.len == 0 || text.len >= BALLOT_TEXT_BYTES) return status_of(ST_INVALID);
    if (text.ptr[text.len - 1] == '.') return status_of(ST_INVALID);
    if (!parse_hex(&text, 16, &stamp)) return status_of(ST_INVALID);
    if (!parse_hex(&text, 8, &node)) return status_of(ST_INVALID);
    if (!parse_hex(&text, 8, &boot) || text.len != 0) return status_of(ST_INVALID);
    const struct ballot version = { stamp, (uint32_t)node, (uint32_t)boot };
    if (ballot_is_zero(version)) return status_of(ST_INVALID);
    *ret_version = version;
    return status_of(ST_OK);
}
