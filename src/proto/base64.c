#include "proto/base64.h"

#include "base/assert.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64_append(struct buffer *out, enum base64_alphabet alphabet, struct bytes in) {
    const char *letters = alphabet == BASE64_URL ? url : standard;
    const size_t len = (in.len + 2) / 3 * 4;
    uint8_t *p = buffer_reserve(out, len);
    if (p == NULL || in.len == 0) return;
    const uint8_t *start = p;
    size_t i = 0;
    for (; i + 3 <= in.len; i += 3) {
        const uint32_t word =
            (uint32_t)in.ptr[i] << 16 | (uint32_t)in.ptr[i + 1] << 8 | in.ptr[i + 2];
        *p++ = (uint8_t)letters[word >> 18];
        *p++ = (uint8_t)letters[word >> 12 & 63];
        *p++ = (uint8_t)letters[word >> 6 & 63];
        *p++ = (uint8_t)letters[word & 63];
    }
    const size_t left = in.len - i;
    if (left > 0) {
        const uint32_t word =
            (uint32_t)in.ptr[i] << 16 | (left == 2 ? (uint32_t)in.ptr[i + 1] << 8 : 0);
        *p++ = (uint8_t)letters[word >> 18];
        *p++ = (uint8_t)letters[word >> 12 & 63];
        if (left == 2) *p++ = (uint8_t)letters[word >> 6 & 63];
        if (alphabet == BASE64_STANDARD) {
            *p++ = '=';
            if (left == 1) *p++ = '=';
        }
    }
    ASSERT((size_t)(p - start) <= len);
    buffer_commit(out, (size_t)(p - start));
}

static int letter_value(enum base64_alphabet alphabet, uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == (alphabet == BASE64_URL ? '-' : '+')) return 62;
    if (c == (alphabet == BASE64_URL ? '_' : '/')) return 63;
    return -1;
}

STATUS base64_decode(enum base64_alphabet alphabet, struct bytes text, uint8_t *room,
                     size_t *ret_len) {
    size_t letters = text.len;
    if (letters % 4 == 0 && letters > 0 && text.ptr[letters - 1] == '=') {
        letters--;
        if (text.ptr[letters - 1] == '=') letters--;
    }
    if (letters % 4 == 1) return status_of(ST_INVALID);

    uint32_t word = 0;
    uint32_t bits = 0;
    size_t len = 0;
    for (size_t i = 0; i < letters; i++) {
        const int value = letter_value(alphabet, text.ptr[i]);
        if (value < 0) return status_of(ST_INVALID);
        word = word << 6 | (uint32_t)value;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        room[len++] = (uint8_t)(word >> bits);
        word &= (1u << bits) - 1;
    }
    if (word != 0) return status_of(ST_INVALID);
    ASSERT(bits < 6);
    ASSERT(len <= base64_decoded_len_max(text.len));
    *ret_len = len;
    return status_of(ST_OK);
}
