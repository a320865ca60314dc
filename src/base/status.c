#include "base/status.h"

const char *status_name(struct status s) {
    switch (s.code) {
    case ST_OK: return "ok";
    case ST_BUSY: return "busy";
    case ST_FULL: return "full";
    case ST_NOT_FOUND: return "not found";
    case ST_CORRUPT: return "corrupt";
    case ST_IO: return "io";
    case ST_WAIT: return "wait";
    case ST_INVALID: return "invalid";
    case ST_CONFLICT: return "conflict";
    case ST_TIMEOUT: return "timeout";
    }
    return "unknown";
}
