/* table.h - cells in rows, printed in columns that are as wide as they must be.
 *
 * Lifecycle  init -> table_add for each cell, row by row -> encode -> deinit
 * Owner      one thread
 * Memory     TABLE_CELL_BYTES a cell, up to TABLE_CELLS_MAX
 * Failure    cells that do not fit are cut; more than TABLE_CELLS_MAX are left out
 */
#ifndef ATOLL_CLI_TABLE_H
#define ATOLL_CLI_TABLE_H

#include "base/buffer.h"

#define TABLE_CELL_BYTES 136u /* with its NUL; an address of a member has at most 127 */
#define TABLE_COLUMNS_MAX 12u
#define TABLE_CELLS_MAX (2048u * TABLE_COLUMNS_MAX)

struct table {
    const char *const *names; /* of the columns; outlive the table */
    uint32_t columns;         /* 1..TABLE_COLUMNS_MAX */
    uint32_t left;            /* columns from the left whose cells begin at the left */
    struct buffer cells;      /* TABLE_CELL_BYTES each, row by row */
};

void table_init(struct table *t, const char *const *names, uint32_t columns, uint32_t left);
void table_deinit(struct table *t);
void table_add(struct table *t, const char *text);
void table_add_number(struct table *t, uint64_t number);
/* Header and rows. With `colour`, for a terminal, the header is bold. */
void table_encode(const struct table *t, bool colour, struct buffer *out);

#endif
