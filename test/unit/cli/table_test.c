/* Columns are as wide as their widest cell, and cells that are too long are cut. */
#include "cli/table.h"

#include "test/unit/harness.h"

#include <string.h>

TEST(table, columns) {
    static const char *const names[] = { "NAME", "N", "REST" };
    struct table t;
    struct buffer out;
    buffer_init(&out, 1 << 16);
    table_init(&t, names, 3, 1);
    table_encode(&t, false, &out);
    CHECK_BYTES(buffer_bytes(&out), BYTES_LIT("NAME  N  REST\n"));
    buffer_reset(&out);
    table_add(&t, "a");
    table_add_number(&t, 1234);
    table_add(&t, "x");
    table_add(&t, "longer");
    table_add_number(&t, 5);
    table_add(&t, "y");
    table_encode(&t, true, &out);
    CHECK_BYTES(buffer_bytes(&out), BYTES_LIT("\033[1mNAME       N  REST\033[0m\n"
                                              "a       1234     x\n"
                                              "longer     5     y\n"));
    table_deinit(&t);
    buffer_deinit(&out);
}

TEST(table, bounds) {
    static const char *const names[] = { "A" };
    char text[2 * TABLE_CELL_BYTES];
    struct table t;
    struct buffer out;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    buffer_init(&out, 1 << 26);
    table_init(&t, names, 1, 1);
    for (uint32_t i = 0; i < TABLE_CELLS_MAX + 5; i++) table_add(&t, text);
    table_encode(&t, false, &out);
    CHECK_EQ(buffer_len(&out), 2 + (size_t)TABLE_CELLS_MAX * TABLE_CELL_BYTES);
    table_deinit(&t);
    buffer_deinit(&out);
}
