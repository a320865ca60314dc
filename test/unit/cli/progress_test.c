#include "cli/progress.h"

#include "test/unit/harness.h"

static struct bytes line_of(const struct progress_step *step, double per_second,
                            uint64_t elapsed_ms) {
    static char text[PROGRESS_LINE_BYTES];
    return bytes_of_string(progress_print_step(step, per_second, elapsed_ms, text));
}

/* What is left follows from what was done so far; where the total is not known nothing is said. */
TEST(progress, tells_rate_and_time_left) {
    struct progress_step step = { .doing = "loaded", .unit = "keys", .done = 250, .total = 1000 };
    CHECK_BYTES(line_of(&step, 50.4, 10000), BYTES_LIT("loaded 250 keys  25 %  50/s  30 s left"));
    step.total = PROGRESS_UNKNOWN;
    CHECK_BYTES(line_of(&step, 0, 10000), BYTES_LIT("loaded 250 keys  0/s"));
    step = (struct progress_step){ .doing = "checked", .done = 3 << 20, .total = 2 << 20 };
    step.detail = "shard 1";
    CHECK_BYTES(line_of(&step, 1 << 20, 3000),
                BYTES_LIT("checked 3.0 MiB  100 %  1.0 MiB/s  0.0 s left  shard 1"));
    step = (struct progress_step){ .doing = "checked", .done = 0, .total = 0 };
    CHECK_BYTES(line_of(&step, 0, 0), BYTES_LIT("checked 0 B  0 B/s"));
}
