#include "base/assert.h"

#include "harness.h"

/* A false assertion ends the process; a true one is evaluated once. */
TEST(assert, aborts_when_false) {
    int evaluated = 0;
    ASSERT(++evaluated == 1);
    CHECK_EQ(evaluated, 1);
    CHECK_ABORTS(ASSERT(evaluated == 2));
}
