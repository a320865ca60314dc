/* Every command of the table is found by its name in any case, and by no other. */
#include "proto/resp_commands.h"
#include "test/unit/harness.h"

#include <ctype.h>

TEST(resp_commands, finds_each_by_its_name) {
    CHECK(resp_command_count() > 40);
    for (uint32_t i = 0; i < resp_command_count(); i++) {
        const struct resp_command *const c = resp_command_at(i);
        char name[RESP_COMMAND_NAME_BYTES] = { 0 };
        const size_t len = strlen(c->name);
        for (size_t j = 0; j < len; j++) name[j] = (char)toupper(c->name[j]);
        CHECK(resp_command_find(bytes_of(c->name, len)) == c);
        CHECK(resp_command_find(bytes_of(name, len)) == c);
        CHECK(resp_command_find(bytes_of(name, len - 1)) != c);
        CHECK(resp_command_find(bytes_of(name, len + 1)) == NULL);
        CHECK(c->translate != NULL || c->children != NULL);
        CHECK(c->arity != 0);
        for (size_t j = 0; j < len; j++) {
            const char kept = name[j];
            /* These become a letter when the bit of lower case is set or cleared. */
            name[j] = (char)(kept ^ 0x80);
            CHECK(resp_command_find(bytes_of(name, len)) == NULL);
            name[j] = (char)(kept & 0x1f);
            CHECK(resp_command_find(bytes_of(name, len)) == NULL);
            name[j] = kept;
        }
    }
    CHECK(resp_command_find(BYTES_NONE) == NULL);
    CHECK(resp_command_find(BYTES_LIT("averylongnamethatisnone")) == NULL);
    CHECK(resp_command_find(BYTES_LIT("msetnx")) == NULL);
}

TEST(resp_commands, finds_subcommands) {
    const struct resp_command *const client = resp_command_find(BYTES_LIT("CLIENT"));
    CHECK(client != NULL);
    const struct resp_command *const c = resp_command_find_child(client, BYTES_LIT("SetName"));
    CHECK(c != NULL);
    CHECK_EQ(c->arity, 3);
    CHECK_BYTES(bytes_of_string(c->container), BYTES_LIT("client"));
    CHECK(resp_command_find_child(client, BYTES_LIT("")) == NULL);
    CHECK(resp_command_find_child(client, BYTES_LIT("kill")) == NULL);
}

TEST(resp_commands, knows_where_keys_are) {
    const struct resp_command *const get = resp_command_find(BYTES_LIT("get"));
    const struct resp_command *const del = resp_command_find(BYTES_LIT("del"));
    const struct resp_command *const mset = resp_command_find(BYTES_LIT("mset"));
    const struct resp_command *const ping = resp_command_find(BYTES_LIT("ping"));
    CHECK(!resp_command_has_key_at(get, 2, 0));
    CHECK(resp_command_has_key_at(get, 2, 1));
    CHECK(!resp_command_has_key_at(get, 3, 2));
    CHECK(resp_command_has_key_at(del, 4, 3));
    CHECK(resp_command_has_key_at(mset, 5, 3));
    CHECK(!resp_command_has_key_at(mset, 5, 4));
    CHECK(!resp_command_has_key_at(ping, 2, 1));
}
