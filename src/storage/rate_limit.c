#include "storage/rate_limit.h"

#include "base/assert.h"

#define NS_PER_SECOND 1000000000u
#define NS_PER_MS 1000000u
/* What an idle time may save up: a tenth of a second of writing. */
#define BURST_DIVISOR 10u
/* A sleeper looks again this often, so that a raised rate is felt soon. */
#define SLEEP_MS_MAX 100u

void rate_limit_init(struct rate_limit *r, struct os *os, uint64_t bytes_per_second) {
    *r = (struct rate_limit){ .os = os,
                              .bytes_per_second = bytes_per_second,
                              .filled_ns = os_mono_ns(os) };
    os_mutex_init(&r->lock);
}

void rate_limit_deinit(struct rate_limit *r) {
    os_mutex_deinit(&r->lock);
}

/* Add the tokens of the time since the last refill. Requires the lock. */
static void refill(struct rate_limit *r, uint64_t now_ns) {
    ASSERT(now_ns >= r->filled_ns);
    const double elapsed_s = (double)(now_ns - r->filled_ns) / NS_PER_SECOND;
    const double gained = elapsed_s * (double)r->bytes_per_second;
    if (gained < 1) return; /* keep the fraction for later */
    const int64_t tokens_max = (int64_t)(r->bytes_per_second / BURST_DIVISOR);
    const double tokens = (double)r->tokens + gained;
    r->tokens = tokens > (double)tokens_max ? tokens_max : (int64_t)tokens;
    r->filled_ns = now_ns;
}

void rate_limit_set(struct rate_limit *r, uint64_t bytes_per_second) {
    os_mutex_lock(&r->lock);
    refill(r, os_mono_ns(r->os));
    r->bytes_per_second = bytes_per_second;
    if (bytes_per_second == 0) r->tokens = 0;
    os_mutex_unlock(&r->lock);
}

/* How long until the bucket is out of debt; 0 = now. */
static uint64_t debt_ns(struct rate_limit *r, size_t bytes) {
    os_mutex_lock(&r->lock);
    uint64_t wait_ns = 0;
    if (r->bytes_per_second != 0) {
        refill(r, os_mono_ns(r->os));
        r->tokens -= (int64_t)bytes;
        if (r->tokens < 0)
            wait_ns = (uint64_t)((double)-r->tokens * NS_PER_SECOND / (double)r->bytes_per_second);
    }
    os_mutex_unlock(&r->lock);
    return wait_ns;
}

/* Whoever comes first waits for its own debt only: later writers add to the debt but
 * not to this one's deadline. */
void rate_limit_pace(struct rate_limit *r, size_t bytes) {
    const uint64_t start_ns = os_mono_ns(r->os);
    uint64_t wait_ns = debt_ns(r, bytes);
    if (wait_ns == 0) return;
    const uint64_t deadline_ns = start_ns + wait_ns;
    uint64_t now_ns = start_ns;
    while (wait_ns != 0 && now_ns < deadline_ns) {
        const uint64_t left_ns = deadline_ns - now_ns < wait_ns ? deadline_ns - now_ns : wait_ns;
        const uint64_t left_ms = (left_ns + NS_PER_MS - 1) / NS_PER_MS;
        os_sleep_ms(r->os, left_ms < SLEEP_MS_MAX ? (uint32_t)left_ms : SLEEP_MS_MAX);
        now_ns = os_mono_ns(r->os);
        wait_ns = debt_ns(r, 0);
    }
    os_mutex_lock(&r->lock);
    r->waited_ns += now_ns - start_ns;
    os_mutex_unlock(&r->lock);
}
