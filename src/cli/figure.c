#include "cli/figure.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

const char *figure_print_size(uint64_t bytes, char text[FIGURE_BYTES]) {
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double size = (double)bytes / 1024;
    size_t unit = 0;
    int len = 0;
    if (bytes == FIGURE_UNKNOWN) {
        len = snprintf(text, FIGURE_BYTES, "?");
    } else if (bytes < 1024) {
        len = snprintf(text, FIGURE_BYTES, "%" PRIu64 " B", bytes);
    } else {
        /* 1023.96 would be printed as 1024.0 of the smaller unit. */
        for (; size >= 1023.95; size /= 1024) unit++;
        ASSERT(unit < sizeof units / sizeof *units);
        len = snprintf(text, FIGURE_BYTES, "%.1f %s", size, units[unit]);
    }
    ASSERT(len > 0 && (size_t)len < FIGURE_BYTES);
    return text;
}

const char *figure_print_rate(uint64_t bytes_per_second, char text[FIGURE_BYTES]) {
    char size[FIGURE_BYTES];
    const int len =
        snprintf(text, FIGURE_BYTES, "%.24s/s", figure_print_size(bytes_per_second, size));
    ASSERT(len > 0 && (size_t)len < FIGURE_BYTES);
    return text;
}

const char *figure_print_time(uint64_t ms, char text[FIGURE_BYTES]) {
    const uint64_t s = ms / 1000;
    int len = 0;
    if (ms == FIGURE_UNKNOWN)
        len = snprintf(text, FIGURE_BYTES, "?");
    else if (s < 10)
        len = snprintf(text, FIGURE_BYTES, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
    else if (s < 60)
        len = snprintf(text, FIGURE_BYTES, "%" PRIu64 " s", s);
    else if (s < 3600)
        len = snprintf(text, FIGURE_BYTES, "%" PRIu64 " m %02" PRIu64 " s", s / 60, s % 60);
    else if (s < 86400)
        len = snprintf(text, FIGURE_BYTES, "%" PRIu64 " h %02" PRIu64 " m", s / 3600, s / 60 % 60);
    else
        len = snprintf(text, FIGURE_BYTES, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
    ASSERT(len > 0 && (size_t)len < FIGURE_BYTES);
    return text;
}
