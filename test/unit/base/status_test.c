#include "base/status.h"

#include "harness.h"

#include <string.h>

/* Every code has a name of its own. */
TEST(status, names_differ) {
    for (int a = ST_OK; a <= ST_TIMEOUT; a++) {
        const char *name = status_name(status_of((enum status_code)a));
        CHECK(strcmp(name, "unknown") != 0);
        for (int b = ST_OK; b < a; b++)
            CHECK(strcmp(name, status_name(status_of((enum status_code)b))) != 0);
    }
}

static STATUS pass_on(struct status s, int *ret_reached) {
    TRY(s);
    *ret_reached = 1;
    return status_of(ST_OK);
}

/* TRY leaves with the status it was given, and goes on only when it is ST_OK. */
TEST(status, try_leaves_on_failure) {
    int reached = 0;
    CHECK_STATUS(pass_on(status_of(ST_BUSY), &reached), ST_BUSY);
    CHECK_EQ(reached, 0);
    CHECK_OK(pass_on(status_of(ST_OK), &reached));
    CHECK_EQ(reached, 1);
}
