#include "base/mutant.h"

#ifdef ATOLL_MUTANTS
#include <string.h>

const char *mutant_active;

bool mutant_is(const char *name) {
    return mutant_active != NULL && strcmp(mutant_active, name) == 0;
}
#endif
