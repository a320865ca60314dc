#include "proto/uri.h"

#include "base/assert.h"

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static struct status decode(struct bytes in, bool plus_is_space, uint8_t *room,
                            struct bytes *ret_out) {
    size_t i = 0;
    while (i < in.len && in.ptr[i] != '%' && !(plus_is_space && in.ptr[i] == '+')) i++;
    if (i == in.len) {
        *ret_out = in;
        return status_of(ST_OK);
    }
    ASSERT(room != NULL);
    memcpy(room, in.ptr, i);
    size_t len = i;
    while (i < in.len) {
        const uint8_t c = in.ptr[i++];
        if (c != '%') {
            room[len++] = plus_is_space && c == '+' ? ' ' : c;
            continue;
        }
        if (in.len - i < 2) return status_of(ST_INVALID);
        const int high = hex_digit(in.ptr[i]);
        const int low = hex_digit(in.ptr[i + 1]);
        if (high < 0 || low < 0) return status_of(ST_INVALID);
        room[len++] = (uint8_t)(high * 16 + low);
        i += 2;
    }
    ASSERT(len <= in.len);
    *ret_out = bytes_of(room, len);
    return status_of(ST_OK);
}

STATUS uri_decode_path(struct bytes in, uint8_t *room, struct bytes *ret_out) {
    return decode(in, false, room, ret_out);
}

STATUS uri_decode_query(struct bytes in, uint8_t *room, struct bytes *ret_out) {
    return decode(in, true, room, ret_out);
}

bool uri_query_next(struct bytes *query, struct bytes *ret_name, struct bytes *ret_value) {
    while (query->len > 0) {
        const uint8_t *amp = memchr(query->ptr, '&', query->len);
        const size_t len = amp == NULL ? query->len : (size_t)(amp - query->ptr);
        const struct bytes piece = bytes_of(query->ptr, len);
        const size_t skip = amp == NULL ? len : len + 1;
        *query = bytes_of(query->ptr + skip, query->len - skip);
        if (len == 0) continue;
        const uint8_t *eq = memchr(piece.ptr, '=', len);
        const size_t name_len = eq == NULL ? len : (size_t)(eq - piece.ptr);
        *ret_name = bytes_of(piece.ptr, name_len);
        *ret_value = eq == NULL ? BYTES_NONE : bytes_of(eq + 1, len - name_len - 1);
        return true;
    }
    return false;
}
