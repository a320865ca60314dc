#include "cli/table.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

void table_init(struct table *t, const char *const *names, uint32_t columns, uint32_t left) {
    ASSERT(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    ASSERT(left <= columns);
    *t = (struct table){ .names = names, .columns = columns, .left = left };
    buffer_init(&t->cells, (size_t)TABLE_CELLS_MAX * TABLE_CELL_BYTES);
}

void table_deinit(struct table *t) {
    buffer_deinit(&t->cells);
}

void table_add(struct table *t, const char *text) {
    char *cell = (char *)buffer_reserve(&t->cells, TABLE_CELL_BYTES);
    if (cell == NULL) return;
    (void)snprintf(cell, TABLE_CELL_BYTES, "%s", text);
    buffer_commit(&t->cells, TABLE_CELL_BYTES);
}

void table_add_number(struct table *t, uint64_t number) {
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, number);
    table_add(t, digits);
}

static const char *cell_of(const struct table *t, size_t index) {
    const struct bytes cells = buffer_bytes(&t->cells);
    ASSERT((index + 1) * TABLE_CELL_BYTES <= cells.len);
    return (const char *)cells.ptr + index * TABLE_CELL_BYTES;
}

static void append_cell(const struct table *t, uint32_t column, const char *text, int width,
                        struct buffer *out) {
    const bool last = column + 1 == t->columns;
    const char *gap = column == 0 ? "" : "  ";
    if (column >= t->left)
        buffer_printf(out, "%s%*s", gap, width, text);
    else
        buffer_printf(out, "%s%-*s", gap, last ? 0 : width, text);
}

void table_encode(const struct table *t, bool colour, struct buffer *out) {
    int widths[TABLE_COLUMNS_MAX];
    const size_t cells = buffer_len(&t->cells) / TABLE_CELL_BYTES;
    const size_t rows = cells / t->columns;
    for (uint32_t i = 0; i < t->columns; i++) {
        widths[i] = (int)strlen(t->names[i]);
        for (size_t row = 0; row < rows; row++) {
            const int width = (int)strlen(cell_of(t, row * t->columns + i));
            if (width > widths[i]) widths[i] = width;
        }
    }
    if (colour) buffer_append_string(out, "\033[1m");
    for (uint32_t i = 0; i < t->columns; i++) append_cell(t, i, t->names[i], widths[i], out);
    buffer_append_string(out, colour ? "\033[0m\n" : "\n");
    for (size_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < t->columns; i++)
            append_cell(t, i, cell_of(t, row * t->columns + i), widths[i], out);
        buffer_append_u8(out, '\n');
    }
}
