/* A request that is handed to another node arrives with every field it had, and one that
 * contradicts itself is corrupt. */
#include "peer_support.h"

#include <float.h>
#include <math.h>

static void same_request(const struct request *a, const struct request *b) {
    CHECK_EQ(a->op, b->op);
    CHECK_EQ(a->condition, b->condition);
    CHECK_EQ(a->expiry, b->expiry);
    CHECK_EQ(a->level, b->level);
    CHECK_EQ(a->level_count, b->level_count);
    CHECK_EQ(a->keyspace, b->keyspace);
    CHECK_EQ(a->flags, b->flags);
    CHECK_EQ(a->expire_when, b->expire_when);
    CHECK_BYTES(a->key, b->key);
    CHECK_BYTES(a->value, b->value);
    CHECK_BYTES(a->expected, b->expected);
    CHECK_EQ(ballot_compare(a->version, b->version), 0);
    CHECK_EQ(a->expires_at_ms, b->expires_at_ms);
    CHECK_EQ(a->op_high, b->op_high);
    CHECK_EQ(a->op_low, b->op_low);
    CHECK_EQ(ballot_compare(a->session, b->session), 0);
    CHECK_EQ(ballot_compare(a->stamp, b->stamp), 0);
    CHECK_EQ(a->increment, b->increment);
    CHECK(a->increment_float == b->increment_float);
    CHECK_EQ(signbit(a->increment_float) != 0, signbit(b->increment_float) != 0);
    CHECK_BYTES(a->start, b->start);
    CHECK_BYTES(a->end, b->end);
    CHECK_BYTES(a->prefix, b->prefix);
    CHECK_BYTES(a->pattern, b->pattern);
    CHECK_EQ(a->has_end, b->has_end);
    CHECK_EQ(a->start_exclusive, b->start_exclusive);
    CHECK_EQ(a->rows_max, b->rows_max);
    CHECK_EQ(a->epoch, b->epoch);
}

/* Through a whole frame, so that the limit of a payload is seen to hold too. */
static void round_trip(const struct request *q, uint32_t timeout_ms) {
    struct buffer space;
    struct peer_frame f;
    struct request back;
    uint32_t back_timeout_ms = 0;
    size_t consumed = 0;
    size_t need = 0;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    const size_t begun = peer_begin(&space, PEER_FORWARD, 0, 1, 1);
    peer_request_encode(q, timeout_ms, &space);
    peer_end(&space, begun);
    CHECK(!space.overflowed);
    CHECK_OK(peer_decode(buffer_bytes(&space), &f, &consumed, &need));
    CHECK_OK(peer_request_decode(f.payload, &back, &back_timeout_ms));
    same_request(&back, q);
    CHECK_EQ(back.home, 0);
    CHECK_EQ(back_timeout_ms, timeout_ms);
    buffer_deinit(&space);
}

static const struct ballot highest = { UINT64_MAX, UINT32_MAX, UINT32_MAX };

/* The largest of everything: two values at once, and a range with all its ends. */
TEST(peer_request, sizes_at_the_edges) {
    uint8_t *bytes = mem_alloc_zeroed(VALUE_BYTES_MAX);
    memset(bytes, 0xee, VALUE_BYTES_MAX);
    const struct bytes key = bytes_of(bytes, KEY_BYTES_MAX);
    const struct bytes value = bytes_of(bytes, VALUE_BYTES_MAX);
    round_trip(
        &(struct request){
            .op = OP_PUT,
            .condition = COND_VALUE_IS,
            .expiry = EXPIRY_AT,
            .level = LEVEL_COUNT,
            .level_count = REPLICAS_MAX,
            .keyspace = UINT16_MAX,
            .flags = REQUEST_DELETE | REQUEST_RETURN_OLD | REQUEST_NO_VALUE | REQUEST_ABSENT,
            .expire_when = EXPIRE_IF_NONE | EXPIRE_IF_SOME | EXPIRE_IF_LATER | EXPIRE_IF_EARLIER,
            .key = key,
            .value = value,
            .expected = value,
            .version = highest,
            .expires_at_ms = UINT64_MAX,
            .op_high = UINT64_MAX,
            .op_low = UINT64_MAX,
            .session = highest,
            .stamp = highest,
        },
        UINT32_MAX);
    round_trip(
        &(struct request){
            .op = OP_SCAN,
            .level = LEVEL_ALL,
            .start = key,
            .end = key,
            .prefix = key,
            .pattern = value,
            .has_end = true,
            .start_exclusive = true,
            .rows_max = ROW_PAGE_ROWS_MAX,
            .epoch = UINT64_MAX,
        },
        0);
    mem_free(bytes);
}

TEST(peer_request, every_operation) {
    const struct bytes k = BYTES_LIT("k");
    round_trip(&(struct request){ .op = OP_GET, .key = k, .condition = COND_VERSION_IS_NOT }, 1);
    /* A read with If-Match has a version and no condition. */
    round_trip(&(struct request){ .op = OP_GET, .key = k, .version = { 1, 2, 3 } }, 1);
    round_trip(&(struct request){ .op = OP_PUT, .key = k, .expiry = EXPIRY_KEEP }, 1);
    round_trip(&(struct request){ .op = OP_DELETE, .key = k, .condition = COND_PRESENT }, 1);
    round_trip(&(struct request){ .op = OP_EXPIRE, .key = k, .expiry = EXPIRY_CLEAR }, 1);
    round_trip(&(struct request){ .op = OP_APPEND, .key = k, .value = k }, 1);
    round_trip(&(struct request){ .op = OP_INCR, .key = k, .increment = INT64_MIN }, 1);
    round_trip(&(struct request){ .op = OP_INCR, .key = k, .increment = INT64_MAX }, 1);
    round_trip(&(struct request){ .op = OP_SCAN, .rows_max = 1 }, 1);
    /* No key is before the empty one. */
    round_trip(&(struct request){ .op = OP_SCAN, .rows_max = 1, .has_end = true }, 1);
    round_trip(&(struct request){ .op = OP_RANDOM_KEY }, 1);
    round_trip(&(struct request){ .op = OP_FIGURES }, 1);
    round_trip(&(struct request){ .op = OP_TRUNCATE, .stamp = highest, .epoch = 1 }, 1);
}

/* Every bit of a long double, at the ends of its range and where rounding would show. */
TEST(peer_request, floats_are_exact) {
    const long double numbers[] = {
        0.0L,
        -0.0L,
        1.0L / 3,
        -0.1L,
        LDBL_MAX,
        -LDBL_MAX,
        LDBL_MIN,
        LDBL_TRUE_MIN,
        1.0L + LDBL_EPSILON,
        -LDBL_TRUE_MIN,
        (long double)INFINITY,
        -(long double)INFINITY,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        round_trip(&(struct request){ .op = OP_INCR_FLOAT,
                                      .key = BYTES_LIT("k"),
                                      .increment_float = numbers[i] },
                   1);
    }
}

/* A random 64-bit mantissa loses nothing either. */
TEST(peer_request, random_floats_are_exact) {
    uint64_t x = test_seed() | 1;
    for (uint32_t i = 0; i < 2000; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        const int exponent = (int)(x >> 40 & 0x7fff) - 0x4000;
        const long double number = ldexpl((long double)(x ^ x >> 29), exponent);
        round_trip(&(struct request){ .op = OP_INCR_FLOAT,
                                      .key = BYTES_LIT("k"),
                                      .increment_float = (x & 1) != 0 ? number : -number },
                   1);
    }
}

static enum status_code decode_float(const char *text, long double *ret_number) {
    struct buffer space;
    struct request q = { .op = OP_INCR_FLOAT, .key = BYTES_LIT("k"), .increment_float = 1 };
    uint32_t timeout_ms = 0;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    peer_request_encode(&q, 1, &space);
    space.end = 16 + 2; /* the key; then the number, which is last */
    buffer_append_u8(&space, (uint8_t)strlen(text));
    buffer_append_string(&space, text);
    const struct status s = peer_request_decode(buffer_bytes(&space), &q, &timeout_ms);
    *ret_number = q.increment_float;
    buffer_deinit(&space);
    return s.code;
}

/* Numbers come from machines whose digits group otherwise; what is no number is corrupt. */
TEST(peer_request, floats_as_text) {
    static const char *const bad[] = {
        "",
        "-",
        "1",
        "1.5",
        "0x",
        "0xg",
        "0x1p",
        "0x1p+0 ",
        " 0x1p+0",
        "+0x1p+0",
        "nan",
        "-nan",
        "infinity",
        "inf ",
        "--0x1p+0",
        "0X1P+0",
        "0x1.00000000000000000000000000000000000000000p+0", /* 48 bytes: too long */
    };
    long double number = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(decode_float(bad[i], &number), ST_CORRUPT);
        CHECK(number == 1.0L);
    }
    CHECK_EQ(decode_float("0x1.8p+1", &number), ST_OK);
    CHECK(number == 3.0L);
    CHECK_EQ(decode_float("0xc.p-2", &number), ST_OK);
    CHECK(number == 3.0L);
    CHECK_EQ(decode_float("-inf", &number), ST_OK);
    CHECK(isinf(number) && number < 0);
    /* What is too large here becomes infinite, which INCRBYFLOAT refuses. */
    CHECK_EQ(decode_float("0x1p+99999", &number), ST_OK);
    CHECK(isinf(number));
    CHECK_EQ(decode_float("0x1p-99999", &number), ST_OK);
    CHECK(number == 0);
    CHECK_EQ(decode_float("0x0p+0", &number), ST_OK);
    CHECK_EQ(decode_float("0x1.ffffffffffffffffffffffffffffp-16494", &number), ST_OK);
}

/* The check that encode and decode share, one fault at a time. */
TEST(peer_request, contradictions_are_refused) {
    const struct bytes k = BYTES_LIT("k");
    uint8_t *bytes = mem_alloc_zeroed(VALUE_BYTES_MAX + 1);
    const struct bytes long_key = bytes_of(bytes, KEY_BYTES_MAX + 1);
    const struct bytes long_value = bytes_of(bytes, VALUE_BYTES_MAX + 1);
    const struct request bad[] = {
        { .op = OP_GET },
        { .op = OP_GET, .key = long_key },
        { .op = OP_SINGLE_KEY_END, .key = k },
        { .op = OP_SINGLE_KEY_END },
        { .op = (enum operation)(OP_FIGURES + 1) },
        { .op = (enum operation)255 },
        { .op = OP_GET, .key = k, .condition = (enum condition)(COND_VALUE_IS + 1) },
        { .op = OP_GET, .key = k, .expiry = (enum expiry)(EXPIRY_CLEAR + 1) },
        { .op = OP_GET, .key = k, .level = (enum level)(LEVEL_COUNT + 1) },
        { .op = OP_GET, .key = k, .level = LEVEL_COUNT },
        { .op = OP_GET, .key = k, .level = LEVEL_COUNT, .level_count = REPLICAS_MAX + 1 },
        { .op = OP_GET, .key = k, .flags = 16 },
        { .op = OP_GET, .key = k, .expire_when = 16 },
        { .op = OP_GET, .key = k, .value = k },
        { .op = OP_GET, .key = k, .expected = k },
        { .op = OP_GET, .key = k, .increment = 1 },
        { .op = OP_INCR, .key = k, .increment_float = 1 },
        { .op = OP_INCR, .key = k, .increment_float = -0.0L },
        { .op = OP_INCR_FLOAT, .key = k, .increment = 1 },
        { .op = OP_INCR_FLOAT, .key = k, .increment_float = (long double)NAN },
        { .op = OP_PUT, .key = k, .value = long_value },
        { .op = OP_PUT, .key = k, .condition = COND_VALUE_IS, .expected = long_value },
        { .op = OP_EXPIRE, .key = k },
        { .op = OP_EXPIRE, .key = k, .expiry = EXPIRY_KEEP },
        { .op = OP_PUT, .key = k, .start = k },
        { .op = OP_PUT, .key = k, .has_end = true },
        { .op = OP_PUT, .key = k, .start_exclusive = true },
        { .op = OP_PUT, .key = k, .rows_max = 1 },
        { .op = OP_PUT, .key = k, .epoch = 1 },
        { .op = OP_SCAN },
        { .op = OP_SCAN, .rows_max = ROW_PAGE_ROWS_MAX + 1 },
        { .op = OP_SCAN, .rows_max = 1, .key = k },
        { .op = OP_SCAN, .rows_max = 1, .value = k },
        { .op = OP_SCAN, .rows_max = 1, .end = k },
        { .op = OP_SCAN, .rows_max = 1, .start = long_key },
        { .op = OP_SCAN, .rows_max = 1, .end = long_key, .has_end = true },
        { .op = OP_SCAN, .rows_max = 1, .prefix = long_key },
        { .op = OP_SCAN, .rows_max = 1, .pattern = long_value },
        { .op = OP_SCAN, .rows_max = 1, .condition = COND_ABSENT },
        { .op = OP_TRUNCATE, .expiry = EXPIRY_KEEP },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!peer_request_check(&bad[i]));
    struct buffer space;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    CHECK_ABORTS(peer_request_encode(&bad[0], 1, &space));
    buffer_deinit(&space);
    mem_free(bytes);
}

/* A GET of "k" with the byte at `at` made another. */
static enum status_code get_with(size_t at, uint8_t value) {
    struct buffer space;
    struct request q = { .op = OP_GET, .key = BYTES_LIT("k") };
    struct request back = { .op = OP_RANDOM_KEY };
    uint32_t timeout_ms = 7;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    peer_request_encode(&q, 1, &space);
    CHECK_EQ(buffer_len(&space), 18);
    space.ptr[at] = value;
    const struct status s = peer_request_decode(buffer_bytes(&space), &back, &timeout_ms);
    CHECK(status_ok(s) ? timeout_ms == 1 : timeout_ms == 7 && back.op == OP_RANDOM_KEY);
    buffer_deinit(&space);
    return s.code;
}

TEST(peer_request, bytes_out_of_range_are_corrupt) {
    CHECK_EQ(get_with(0, OP_DELETE), ST_OK);
    CHECK_EQ(get_with(0, OP_SINGLE_KEY_END), ST_CORRUPT);
    CHECK_EQ(get_with(0, OP_RANDOM_KEY), ST_CORRUPT); /* of a key */
    CHECK_EQ(get_with(0, OP_FIGURES + 1), ST_CORRUPT);
    CHECK_EQ(get_with(1, COND_VALUE_IS), ST_OK);
    CHECK_EQ(get_with(1, COND_VALUE_IS + 1), ST_CORRUPT);
    CHECK_EQ(get_with(2, EXPIRY_CLEAR), ST_OK);
    CHECK_EQ(get_with(2, EXPIRY_CLEAR + 1), ST_CORRUPT);
    CHECK_EQ(get_with(3, LEVEL_ALL), ST_OK);
    CHECK_EQ(get_with(3, LEVEL_COUNT), ST_CORRUPT); /* of nothing */
    CHECK_EQ(get_with(4, REPLICAS_MAX + 1), ST_CORRUPT);
    CHECK_EQ(get_with(5, 15), ST_OK);
    CHECK_EQ(get_with(5, 16), ST_CORRUPT);
    CHECK_EQ(get_with(6, 16), ST_CORRUPT);
    CHECK_EQ(get_with(7, 4), ST_CORRUPT);
    CHECK_EQ(get_with(10, 0), ST_CORRUPT);    /* no key */
    CHECK_EQ(get_with(10, 3), ST_CORRUPT);    /* a value that is not there */
    CHECK_EQ(get_with(11, 0x80), ST_CORRUPT); /* a field that nobody knows */
    CHECK_EQ(get_with(16, 0), ST_CORRUPT);
    CHECK_EQ(get_with(16, 2), ST_CORRUPT);
    CHECK_EQ(get_with(17, 'x'), ST_OK);
}

/* A float of zero is still none of another operation's fields. */
TEST(peer_request, floats_belong_to_their_operation) {
    static const char *const zeros[] = { "0x0p+0", "-0x0p+0" };
    for (size_t i = 0; i < 2; i++) {
        const size_t len = strlen(zeros[i]);
        uint8_t p[40] = { OP_INCR_FLOAT };
        struct request back;
        uint32_t timeout_ms = 0;
        put_u16_le(p + 10, 0x0201);
        memcpy(p + 16, "\1k", 2);
        p[18] = (uint8_t)len;
        memcpy(p + 19, zeros[i], len);
        CHECK_OK(peer_request_decode(bytes_of(p, 19 + len), &back, &timeout_ms));
        p[0] = OP_INCR;
        CHECK_STATUS(peer_request_decode(bytes_of(p, 19 + len), &back, &timeout_ms), ST_CORRUPT);
    }
}

/* A field is sent only when it says something: zeros that are announced are corrupt. */
TEST(peer_request, announced_fields_are_not_zero) {
    static const struct {
        uint16_t has;
        uint8_t len;
    } fields[] = { { 0x0008, 16 }, { 0x0010, 8 }, { 0x0020, 16 }, { 0x0040, 16 }, { 0x0080, 16 },
                   { 0x0100, 8 },  { 0x4000, 4 }, { 0x8000, 8 },  { 0x0400, 1 } };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        uint8_t p[40] = { OP_GET };
        struct request back;
        uint32_t timeout_ms = 0;
        put_u16_le(p + 10, 0x0001 | fields[i].has);
        memcpy(p + 16, "\1k", 2);
        CHECK_STATUS(peer_request_decode(bytes_of(p, 18u + fields[i].len), &back, &timeout_ms),
                     ST_CORRUPT);
    }
}
