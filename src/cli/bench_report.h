/* bench_report.h - what a benchmark has found, as a table or as JSON, on standard output.
 *
 * Owner  one thread, after the workers have ended
 */
#ifndef ATOLL_CLI_BENCH_REPORT_H
#define ATOLL_CLI_BENCH_REPORT_H

#include "cli/bench_worker.h"

/* Commands that were answered, and not by an error. */
uint64_t bench_stats_answered(const struct bench_stats *s);
/* One line on the loading of the key set. */
void bench_report_load(const struct bench_options *o, const struct bench_stats *s);
void bench_report_text(const struct bench_options *o, const struct bench_stats *s, bool colour);
void bench_report_json(const struct bench_options *o, const struct bench_stats *s);

#endif
