#include "shard/pace.h"

#include "base/assert.h"

static uint64_t window_of(const struct pace *p) {
    return p->window_bytes == 0 ? PACE_WINDOW_MIN : p->window_bytes;
}

bool pace_may_send(const struct pace *p) {
    return p->flight_bytes < window_of(p);
}

void pace_sent(struct pace *p, uint64_t bytes) {
    ASSERT(pace_check(p));
    p->flight_bytes += bytes;
}

/* An answer that is late is only known to be when there is another to compare it with. */
static uint64_t late_ns(struct pace *p, uint64_t took_ns, uint64_t now_ns) {
    if (now_ns - p->period_ns >= PACE_PERIOD_NS) {
        p->least_before = p->least_ns;
        p->least_ns = 0;
        p->period_ns = now_ns;
    }
    if (p->least_ns == 0 || took_ns < p->least_ns) p->least_ns = took_ns;
    uint64_t least = p->least_ns;
    if (p->least_before != 0 && p->least_before < least) least = p->least_before;
    return 2 * least + PACE_QUEUE_NS;
}

/* The window shrinks once for what was under way when it did. It grows by half in the time of an
 * answer, and only if it was what held more back. */
void pace_answered(struct pace *p, uint64_t bytes, uint64_t sent_ns, uint64_t now_ns) {
    ASSERT(pace_check(p));
    ASSERT(bytes <= p->flight_bytes);
    ASSERT(sent_ns <= now_ns);
    const bool was_full = p->flight_bytes >= window_of(p) / 2;
    const uint64_t took_ns = now_ns - sent_ns;
    uint64_t window = window_of(p);
    p->flight_bytes -= bytes;
    if (took_ns > late_ns(p, took_ns, now_ns)) {
        if (sent_ns < p->cut_ns) return;
        window -= window / 4;
        p->cut_ns = now_ns;
    } else if (was_full) {
        window += bytes / 2;
    }
    if (window < PACE_WINDOW_MIN) window = PACE_WINDOW_MIN;
    p->window_bytes = window < PACE_WINDOW_MAX ? window : PACE_WINDOW_MAX;
    ASSERT(pace_check(p));
}

bool pace_check(const struct pace *p) {
    if (p->window_bytes == 0) return true;
    return p->window_bytes >= PACE_WINDOW_MIN && p->window_bytes <= PACE_WINDOW_MAX;
}
