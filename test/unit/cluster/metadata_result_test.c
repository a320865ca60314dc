#include "cluster/metadata_result.h"

#include "cluster/metadata.h"
#include "harness.h"

/* Every code has a word and one line of its own, and so has every other enum for people. */
TEST(metadata_result, words) {
    for (uint32_t i = 0; i < META_CODES; i++) {
        const struct bytes name = bytes_of_string(metadata_code_name((enum metadata_code)i));
        const struct bytes text = bytes_of_string(metadata_code_text((enum metadata_code)i));
        CHECK(name.len > 0);
        CHECK(text.len > 0);
        CHECK(memchr(text.ptr, '\n', text.len) == NULL);
        for (uint32_t k = 0; k < i; k++)
            CHECK(!bytes_equal(name, bytes_of_string(metadata_code_name((enum metadata_code)k))));
    }
    for (uint32_t i = 0; i < CHANGE_REASONS; i++)
        CHECK(change_reason_name((enum change_reason)i) != NULL);
    for (uint32_t i = 0; i <= MEMBER_UNKNOWN; i++)
        CHECK(member_state_name((enum member_state)i) != NULL);
}
