/* Base64: the vectors of RFC 4648, any bytes there and back, and one text per value. */
#include "proto/base64.h"

#include "test/unit/harness.h"

static enum status_code decode(enum base64_alphabet alphabet, struct bytes text) {
    uint8_t room[64];
    size_t len = 0;
    return base64_decode(alphabet, text, room, &len).code;
}

TEST(base64, encodes_the_vectors) {
    static const char *const vectors[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };
    struct buffer out;
    buffer_init(&out, 100);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        buffer_reset(&out);
        base64_append(&out, BASE64_STANDARD, bytes_of_string(vectors[i][0]));
        CHECK_BYTES(buffer_bytes(&out), bytes_of_string(vectors[i][1]));
    }
    buffer_reset(&out);
    base64_append(&out, BASE64_URL, BYTES_LIT("\xff\xef\xfe\xff"));
    CHECK_BYTES(buffer_bytes(&out), BYTES_LIT("_-_-_w"));
    buffer_deinit(&out);
}

TEST(base64, comes_back_as_it_went) {
    uint8_t bytes[200];
    uint8_t room[256];
    uint64_t x = test_seed();
    struct buffer out;
    buffer_init(&out, 1000);
    for (size_t n = 0; n < sizeof bytes; n++) {
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)((x = x * 6364136223846793005u + 1) >> 56);
        for (enum base64_alphabet a = BASE64_STANDARD; a <= BASE64_URL; a++) {
            size_t len = 0;
            buffer_reset(&out);
            base64_append(&out, a, bytes_of(bytes, n));
            CHECK(base64_decoded_len_max(buffer_len(&out)) <= sizeof room + 50);
            CHECK_OK(base64_decode(a, buffer_bytes(&out), room, &len));
            CHECK_BYTES(bytes_of(room, len), bytes_of(bytes, n));
        }
    }
    buffer_deinit(&out);
}

TEST(base64, refuses_other_texts) {
    CHECK_EQ(decode(BASE64_STANDARD, BYTES_LIT("Zg")), ST_OK);
    CHECK_EQ(decode(BASE64_STANDARD, BYTES_LIT("Z")), ST_INVALID);
    CHECK_EQ(decode(BASE64_STANDARD, BYTES_LIT("Zh==")), ST_INVALID);
    CHECK_EQ(decode(BASE64_STANDARD, BYTES_LIT("Zg=")), ST_INVALID);
    CHECK_EQ(decode(BASE64_STANDARD, BYTES_LIT("Z===")), ST_INVALID);
    CHECK_EQ(decode(BASE64_STANDARD, BYTES_LIT("Zg==Zg==")), ST_INVALID);
    CHECK_EQ(decode(BASE64_STANDARD, BYTES_LIT("Zm9v\n")), ST_INVALID);
    CHECK_EQ(decode(BASE64_STANDARD, BYTES_LIT("____")), ST_INVALID);
    CHECK_EQ(decode(BASE64_URL, BYTES_LIT("////")), ST_INVALID);
}
