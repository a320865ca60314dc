#include "proto/ttl.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S (1000 * NS_PER_MS)

/* clang-format off */
static const struct unit {
    const char *name;
    uint64_t ns;
} units[] = {
    { "ns", 1 }, { "us", 1000 }, { "\xc2\xb5s", 1000 }, { "\xce\xbcs", 1000 },
    { "ms", NS_PER_MS }, { "s", NS_PER_S }, { "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S },
};
/* clang-format on */

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static void skip(struct bytes *text, size_t len) {
    *text = bytes_of(text->ptr + len, text->len - len);
}

/* A number with an optional fraction, in parts of 10^-9. */
static bool take_number(struct bytes *text, uint64_t *ret_whole, uint64_t *ret_nano) {
    uint64_t whole = 0;
    uint64_t nano = 0;
    size_t digits = 0;
    while (text->len > 0 && is_digit(text->ptr[0])) {
        if (whole > INT64_MAX / 10) return false;
        whole = whole * 10 + (uint64_t)(text->ptr[0] - '0');
        digits++;
        skip(text, 1);
    }
    if (text->len > 0 && text->ptr[0] == '.') {
        uint64_t scale = 1000000000;
        skip(text, 1);
        while (text->len > 0 && is_digit(text->ptr[0])) {
            scale /= 10;
            nano += (uint64_t)(text->ptr[0] - '0') * scale;
            digits++;
            skip(text, 1);
        }
    }
    *ret_whole = whole;
    *ret_nano = nano;
    return digits > 0;
}

static uint64_t take_unit(struct bytes *text) {
    size_t len = 0;
    while (len < text->len && !is_digit(text->ptr[len]) && text->ptr[len] != '.') len++;
    const struct bytes name = bytes_of(text->ptr, len);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!bytes_equal(name, bytes_of_string(units[i].name))) continue;
        skip(text, len);
        return units[i].ns;
    }
    return 0;
}

STATUS ttl_parse(struct bytes text, uint64_t *ret_ms) {
    const unsigned __int128 ns_max = (unsigned __int128)TTL_MS_MAX * NS_PER_MS;
    unsigned __int128 ns = 0;
    bool first = true;
    if (text.len == 0) return status_of(ST_INVALID);
    while (text.len > 0) {
        uint64_t whole = 0;
        uint64_t nano = 0;
        if (!take_number(&text, &whole, &nano)) return status_of(ST_INVALID);
        const bool bare = first && text.len == 0;
        const uint64_t unit_ns = bare ? NS_PER_S : take_unit(&text);
        if (unit_ns == 0) return status_of(ST_INVALID);
        ns += (unsigned __int128)whole * unit_ns;
        ns += (unsigned __int128)nano * unit_ns / 1000000000;
        if (ns > ns_max) return status_of(ST_INVALID);
        first = false;
    }
    if (ns == 0) return status_of(ST_INVALID);
    *ret_ms = (uint64_t)((ns + NS_PER_MS - 1) / NS_PER_MS);
    return status_of(ST_OK);
}

/* "1h30m", each number with its unit, added up. */
static STATUS parse_sum(struct bytes text, unsigned __int128 ns_max, unsigned __int128 *ret_ns) {
    unsigned __int128 ns = 0;
    if (text.len == 0) return status_of(ST_INVALID);
    while (text.len > 0) {
        uint64_t whole = 0;
        uint64_t nano = 0;
        if (!take_number(&text, &whole, &nano)) return status_of(ST_INVALID);
        const uint64_t unit_ns = take_unit(&text);
        if (unit_ns == 0) return status_of(ST_INVALID);
        ns += (unsigned __int128)whole * unit_ns;
        ns += (unsigned __int128)nano * unit_ns / 1000000000;
        if (ns > ns_max) return status_of(ST_INVALID);
    }
    *ret_ns = ns;
    return status_of(ST_OK);
}

STATUS ttl_parse_duration(struct bytes text, int64_t *ret_ns) {
    const bool negative = text.len > 0 && text.ptr[0] == '-';
    unsigned __int128 ns = 0;
    if (negative || (text.len > 0 && text.ptr[0] == '+')) skip(&text, 1);
    /* The negative side reaches one further than the positive one. */
    const unsigned __int128 ns_max = (unsigned __int128)INT64_MAX + (negative ? 1 : 0);
    if (!bytes_equal(text, BYTES_LIT("0"))) TRY(parse_sum(text, ns_max, &ns));
    *ret_ns = (int64_t)(negative ? 0 - (uint64_t)ns : (uint64_t)ns);
    return status_of(ST_OK);
}
