/* status.h - how every fallible call says what became of it.
 *
 * A struct, so that it cannot be taken for a bool, a count or an errno;
 * must-use, so that it cannot be dropped. Outputs named ret_* are written
 * only when the status is ST_OK.
 */
#ifndef ATOLL_BASE_STATUS_H
#define ATOLL_BASE_STATUS_H

#include <stdbool.h>

enum status_code {
    ST_OK = 0,
    ST_BUSY,      /* A limit is reached now; the same call may work later. */
    ST_FULL,      /* A fixed capacity or the disk is used up; make room, then retry. */
    ST_NOT_FOUND, /* The key, file or node does not exist. */
    ST_CORRUPT,   /* Bytes read back are not bytes we wrote. */
    ST_IO,        /* The operating system refused; the effect is unknown. */
    ST_WAIT,      /* Cannot be answered from memory; fetch what is named, then call again. */
    ST_INVALID,   /* The caller's bytes break a rule; nothing was done. */
    ST_CONFLICT,  /* A condition did not hold; nothing was done. */
    ST_TIMEOUT,   /* The deadline passed; the effect is unknown. */
};

struct status {
    enum status_code code;
};

#define STATUS __attribute__((warn_unused_result)) struct status

static inline struct status status_of(enum status_code code) {
    return (struct status){ .code = code };
}

static inline bool status_ok(struct status s) {
    return s.code == ST_OK;
}

/* A lower-case word for logs: "ok", "busy", "full", ... Valid for ever. */
const char *status_name(struct status s);

/* Leave the current function with the status of `call` if it failed. */
#define TRY(call)                                        \
    do {                                                 \
        struct status try_status_ = (call);              \
        if (!status_ok(try_status_)) return try_status_; \
    } while (0)

#endif
