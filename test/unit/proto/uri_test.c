/* Percent-encoding: any byte can be written, `+` is a space in queries alone, and a broken
 * escape is refused. */
#include "proto/uri.h"

#include "test/unit/harness.h"

TEST(uri, decodes_paths) {
    uint8_t room[32];
    struct bytes out;
    CHECK_OK(uri_decode_path(BYTES_LIT("a%00%2Fb+%ff%Fe"), room, &out));
    CHECK_BYTES(out, BYTES_LIT("a\0/b+\xff\xfe"));
    CHECK_OK(uri_decode_path(BYTES_LIT("plain/x"), NULL, &out));
    CHECK_BYTES(out, BYTES_LIT("plain/x"));
    CHECK_OK(uri_decode_path(BYTES_NONE, NULL, &out));
    CHECK_EQ(out.len, 0);
    CHECK_STATUS(uri_decode_path(BYTES_LIT("%"), room, &out), ST_INVALID);
    CHECK_STATUS(uri_decode_path(BYTES_LIT("a%4"), room, &out), ST_INVALID);
    CHECK_STATUS(uri_decode_path(BYTES_LIT("%4g"), room, &out), ST_INVALID);
    CHECK_STATUS(uri_decode_path(BYTES_LIT("%%20"), room, &out), ST_INVALID);
}

TEST(uri, splits_queries) {
    struct bytes query = BYTES_LIT("&a=1&&b&c=x=y&=v&");
    struct bytes name;
    struct bytes value;
    uint8_t room[32];
    CHECK(uri_query_next(&query, &name, &value));
    CHECK_BYTES(name, BYTES_LIT("a"));
    CHECK_BYTES(value, BYTES_LIT("1"));
    CHECK(uri_query_next(&query, &name, &value));
    CHECK_BYTES(name, BYTES_LIT("b"));
    CHECK_EQ(value.len, 0);
    CHECK(uri_query_next(&query, &name, &value));
    CHECK_BYTES(value, BYTES_LIT("x=y"));
    CHECK(uri_query_next(&query, &name, &value));
    CHECK_EQ(name.len, 0);
    CHECK(!uri_query_next(&query, &name, &value));
    CHECK_OK(uri_decode_query(BYTES_LIT("a+b%2B"), room, &value));
    CHECK_BYTES(value, BYTES_LIT("a b+"));
}
