/* A version as text is what the rest of the program prints, and only that is read. */
#include "proto/etag.h"

#include "test/unit/harness.h"

TEST(etag, is_what_ballot_print_gives) {
    static const struct ballot versions[] = {
        { 1, 0, 0 },
        { 0x0190a5b1c2d30001, 3, 17 },
        { UINT64_MAX, UINT32_MAX, UINT32_MAX },
        { 16, 15, 255 },
    };
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        uint8_t text[BALLOT_TEXT_BYTES];
        char wanted[BALLOT_TEXT_BYTES];
        struct ballot back;
        const struct bytes got = bytes_of(text, etag_print(versions[i], text));
        CHECK_BYTES(got, bytes_of(wanted, (size_t)ballot_print(versions[i], wanted)));
        CHECK_OK(etag_parse(got, &back));
        CHECK_EQ(ballot_compare(back, versions[i]), 0);
    }
}

TEST(etag, refuses_other_texts) {
    static const char *const bad[] = { "",
                                       "1",
                                       "1.2",
                                       "1.2.",
                                       ".1.2",
                                       "1..2",
                                       "1.2.3.4",
                                       "01.2.3",
                                       "1.2.g",
                                       "A.2.3",
                                       "0.0.0",
                                       "10000000000000000.1.1",
                                       "1.100000000.1",
                                       "1.1.100000000",
                                       "1.2.3 ",
                                       "-1.2.3",
                                       "1.2.3.",
                                       "1.2",
                                       "..." };
    struct ballot version;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STATUS(etag_parse(bytes_of_string(bad[i]), &version), ST_INVALID);
    }
    CHECK_STATUS(etag_parse(BYTES_LIT("1.2.3\0"), &version), ST_INVALID);
}
