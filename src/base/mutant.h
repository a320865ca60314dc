/* mutant.h - planted faults, by name, that the simulator must catch.
 *
 * `if (MUTANT("name")) ...` is code that breaks one rule on purpose. Only the build for
 * `./dev sim-mutants` has it (-DATOLL_MUTANTS), and there one name at a time is switched
 * on; in every other build it is the constant false and the code is gone.
 */
#ifndef ATOLL_BASE_MUTANT_H
#define ATOLL_BASE_MUTANT_H

#include <stdbool.h>

#ifdef ATOLL_MUTANTS
/* Set once, before anything runs; NULL = none. */
extern const char *mutant_active;
bool mutant_is(const char *name);
#define MUTANT(name) mutant_is(name)
#else
#define MUTANT(name) false
#endif

#endif
