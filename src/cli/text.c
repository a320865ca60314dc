/* The ways the command line prints bytes. */
#include "cli/command.h"

#include "base/assert.h"
#include "proto/json_text.h"

#include <stdio.h>

/* The bytes of the UTF-8 character at the start of `in`, or 0 if it is none. */
static size_t utf8_len(struct bytes in) {
    ASSERT(in.len > 0);
    const uint8_t c = in.ptr[0];
    const size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (in.len < len || !json_text_is_utf8(bytes_of(in.ptr, len))) return 0;
    return len;
}

/* The printed form of what `in` begins with; `*ret_used` = the bytes it stands for. */
static const char *escape_one(struct bytes in, char room[8], size_t *ret_used) {
    const uint8_t c = in.ptr[0];
    const size_t len = utf8_len(in);
    *ret_used = 1;
    if (c == '\t') return "\\t";
    if (c == '\n') return "\\n";
    if (c == '\r') return "\\r";
    if (c == '\\') return "\\\\";
    /* U+0080 to U+009F are controls too, some of which terminals obey. */
    const bool control = c < 0x20 || c == 0x7f || (len == 2 && c == 0xc2 && in.ptr[1] < 0xa0);
    if (len == 0 || control) {
        snprintf(room, 8, "\\x%02x", c);
        return room;
    }
    memcpy(room, in.ptr, len);
    room[len] = '\0';
    *ret_used = len;
    return room;
}

/* Columns of one printed form: a UTF-8 character counts as one. */
static uint32_t columns_of(const char *form) {
    return (uint8_t)form[0] >= 0x80 ? 1 : (uint32_t)strlen(form);
}

uint32_t cli_escaped_width(struct bytes in, uint32_t limit) {
    uint32_t width = 0;
    char room[8];
    while (in.len > 0 && (limit == 0 || width <= limit)) {
        size_t used = 0;
        width += columns_of(escape_one(in, room, &used));
        in = bytes_of(in.ptr + used, in.len - used);
    }
    return limit > 0 && width > limit ? limit : width;
}

void cli_print_escaped(struct bytes in, uint32_t limit) {
    ASSERT(limit == 0 || limit > 3);
    /* `limit` + 1 columns tell that it does not fit. */
    const bool cut = limit > 0 && cli_escaped_width(in, limit + 1) > limit;
    uint32_t width = 0;
    char room[8];
    while (in.len > 0) {
        size_t used = 0;
        const char *form = escape_one(in, room, &used);
        width += columns_of(form);
        if (cut && width > limit - 3) break;
        fputs(form, stdout);
        in = bytes_of(in.ptr + used, in.len - used);
    }
    if (cut) fputs("...", stdout);
}

void cli_print_json_member(const char *name, struct bytes in) {
    struct buffer text;
    buffer_init(&text, in.len * 6 + 1024); /* \\u0000 is the longest form of a byte */
    json_text_append_member(&text, name, in);
    const struct bytes out = buffer_bytes(&text);
    ASSERT(!text.overflowed);
    if (out.len > 0) fwrite(out.ptr, 1, out.len, stdout);
    buffer_deinit(&text);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

STATUS cli_unescape(const char *text, uint8_t *room, struct bytes *ret_bytes) {
    size_t len = 0;
    for (; *text != '\0'; text++) {
        if (*text != '\\') {
            room[len++] = (uint8_t)*text;
            continue;
        }
        text++;
        const char *at = strchr("tnr\\", *text);
        if (*text != '\0' && at != NULL) {
            room[len++] = (uint8_t)("\t\n\r\\"[at - strchr("tnr\\", 't')]);
        } else if (*text == 'x' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0) {
            room[len++] = (uint8_t)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
            text += 2;
        } else {
            return status_of(ST_INVALID);
        }
    }
    *ret_bytes = bytes_of(room, len);
    return status_of(ST_OK);
}
