/* figure.h - sizes, rates and times as people read them.
 *
 * Pure.
 * Memory   the caller's room of FIGURE_BYTES
 */
#ifndef ATOLL_CLI_FIGURE_H
#define ATOLL_CLI_FIGURE_H

#include <stdint.h>

#define FIGURE_BYTES 32u
#define FIGURE_UNKNOWN UINT64_MAX /* is printed as "?" */

/* "512 B", "1.2 GiB". Return `text`. */
const char *figure_print_size(uint64_t bytes, char text[FIGURE_BYTES]);
/* "52.0 MiB/s". */
const char *figure_print_rate(uint64_t bytes_per_second, char text[FIGURE_BYTES]);
/* "0.4 s", "34 s", "12 m 05 s", "3 h 20 m", "9 d 4 h". */
const char *figure_print_time(uint64_t ms, char text[FIGURE_BYTES]);

#endif
