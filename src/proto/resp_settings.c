/* What may be changed while the node runs: CONFIG SET; and SLOWLOG. */
#include "proto/resp_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"

#define QUOTED_BYTES_MAX 128u /* of a client's bytes in an error line */
#define SLOW_US_MAX (NODE_SLOW_NS_MAX / 1000)
#define SLOW_MS_MAX (SLOW_US_MAX / 1000)
#define SLOWLOG_COUNT_DEFAULT 10

/* Redis has a level between debug and what it logs by default, and none for errors alone. */
static const struct redis_level {
    const char *name; /* of Redis */
    enum log_level level;
} redis_levels[] = {
    { "debug", LOG_DEBUG },  { "verbose", LOG_DEBUG }, { "notice", LOG_INFO },
    { "warning", LOG_WARN }, { "nothing", LOG_ERROR },
};

#define REDIS_LEVELS (sizeof redis_levels / sizeof redis_levels[0])

/* ---- CONFIG SET ---- */

static void refuse_value(struct resp_call *c, struct bytes name, const char *why) {
    char shown[QUOTED_BYTES_MAX + 1];
    resp_reply_errorf(c->out, "ERR CONFIG SET failed (possibly related to argument '%s') - %s",
                      resp_printable(name, shown, QUOTED_BYTES_MAX), why);
}

static bool find_redis_level(struct bytes text, enum log_level *ret_level) {
    for (size_t i = 0; i < REDIS_LEVELS; i++) {
        if (!bytes_equal_nocase(text, redis_levels[i].name)) continue;
        *ret_level = redis_levels[i].level;
        return true;
    }
    return false;
}

/* False: an error reply was made; likewise below. */
static bool read_level(struct resp_call *c, struct bytes name, struct bytes text, bool redis,
                       uint64_t *settings) {
    enum log_level level = LOG_INFO;
    const bool known = redis ? find_redis_level(text, &level) : log_level_find(text, &level);
    if (!known) {
        refuse_value(c, name,
                     redis ? "argument(s) must be one of the following: debug, verbose, notice, "
                             "warning, nothing"
                           : "argument(s) must be one of the following: debug, info, warn, error");
        return false;
    }
    *settings |= node_set_level(level);
    return true;
}

/* In Redis 0 is every command and a negative number none. */
static bool read_slow_us(struct resp_call *c, struct bytes name, struct bytes text,
                         uint64_t *settings) {
    int64_t us = 0;
    if (!resp_integer_decode(text, &us) || us < -1 || us > (int64_t)SLOW_US_MAX) {
        char why[96];
        snprintf(why, sizeof why, "argument must be between -1 and %" PRIu64 " inclusive",
                 SLOW_US_MAX);
        refuse_value(c, name, why);
        return false;
    }
    uint64_t ns = us < 0 ? NODE_SLOW_OFF : (uint64_t)us * 1000;
    if (us == 0) ns = NODE_SLOW_EVERY;
    *settings |= node_set_slow(ns);
    return true;
}

static bool read_slow_ms(struct resp_call *c, struct bytes name, struct bytes text,
                         uint64_t *settings) {
    int64_t ms = 0;
    if (!resp_integer_decode(text, &ms) || ms < 0 || ms > (int64_t)SLOW_MS_MAX) {
        char why[96];
        snprintf(why, sizeof why, "argument must be between 0 and %" PRIu64 " inclusive",
                 SLOW_MS_MAX);
        refuse_value(c, name, why);
        return false;
    }
    *settings |= node_set_slow((uint64_t)ms * 1000000);
    return true;
}

static bool read_pair(struct resp_call *c, struct bytes name, struct bytes text,
                      uint64_t *settings) {
    const bool own = bytes_equal_nocase(name, "log-level");
    const bool level = own || bytes_equal_nocase(name, "loglevel");
    const bool ms = bytes_equal_nocase(name, "slow-ms");
    const bool slow = ms || bytes_equal_nocase(name, "slowlog-log-slower-than");
    if ((level && node_settings_level(*settings) >= 0) ||
        (slow && node_settings_slow(*settings) != UINT64_MAX)) {
        refuse_value(c, name, "duplicate parameter");
        return false;
    }
    if (level) return read_level(c, name, text, !own, settings);
    if (ms) return read_slow_ms(c, name, text, settings);
    if (slow) return read_slow_us(c, name, text, settings);
    char shown[QUOTED_BYTES_MAX + 1];
    resp_reply_errorf(c->out,
                      "ERR Unknown option or number of arguments for CONFIG SET - '%s'; only "
                      "log-level, loglevel, slow-ms and slowlog-log-slower-than can be set",
                      resp_printable(name, shown, QUOTED_BYTES_MAX));
    return false;
}

/* All or nothing. */
void resp_translate_config_set(struct resp_call *c) {
    const struct resp *const r = c->resp;
    uint64_t settings = 0;
    ASSERT(r->argc >= 4);
    if (r->argc % 2 != 0) {
        resp_reply_error(c->out, "ERR wrong number of arguments for 'config|set' command");
        return;
    }
    for (uint32_t i = 2; i < r->argc; i += 2) {
        if (!read_pair(c, r->argv[i], r->argv[i + 1], &settings)) return;
    }
    resp_plan_node(c, NODE_SET, SHAPE_OK);
    c->plan->detail_number = settings;
}

const char *resp_setting(const struct node_view *view, const char *name,
                         char text[RESP_SETTING_BYTES]) {
    const uint64_t ns = view->slow_ns;
    if (strcmp(name, "log-level") == 0) return view->log_level;
    if (strcmp(name, "loglevel") == 0) {
        for (size_t i = REDIS_LEVELS; i-- > 0;) {
            if (strcmp(log_level_name(redis_levels[i].level), view->log_level) == 0 &&
                redis_levels[i].level != LOG_DEBUG)
                return redis_levels[i].name;
        }
        return "debug";
    }
    if (strcmp(name, "slow-ms") == 0) {
        const uint64_t ms_ns = 1000000;
        if (ns % ms_ns == 0)
            snprintf(text, RESP_SETTING_BYTES, "%" PRIu64, ns / ms_ns);
        else
            snprintf(text, RESP_SETTING_BYTES, "%" PRIu64 ".%06" PRIu64, ns / ms_ns, ns % ms_ns);
        return text;
    }
    if (strcmp(name, "slowlog-log-slower-than") == 0) {
        if (ns == NODE_SLOW_OFF) return "-1";
        snprintf(text, RESP_SETTING_BYTES, "%" PRIu64, ns / 1000);
        return text;
    }
    return NULL;
}

/* ---- SLOWLOG ---- */

void resp_translate_slowlog_get(struct resp_call *c) {
    int64_t count = SLOWLOG_COUNT_DEFAULT;
    const struct resp *const r = c->resp;
    if (r->argc > 3) {
        resp_reply_error(c->out, "ERR wrong number of arguments for 'slowlog|get' command");
        return;
    }
    if (r->argc == 3 && !resp_integer_valid(c, r->argv[2], &count)) return;
    if (count < -1) {
        resp_reply_error(c->out, "ERR count should be greater than or equal to -1");
        return;
    }
    resp_plan_node(c, NODE_SLOW, SHAPE_SLOWLOG);
    c->plan->detail_number = count < 0 ? UINT64_MAX : (uint64_t)count;
}

void resp_translate_slowlog_len(struct resp_call *c) {
    resp_plan_node(c, NODE_SLOW, SHAPE_SLOWLOG_LEN);
}

void resp_translate_slowlog_reset(struct resp_call *c) {
    resp_plan_node(c, NODE_SLOW_RESET, SHAPE_OK);
}

/* Operation, key and how many more there were, in the form in which Redis cuts a command. */
static void encode_command(const struct node_slow *n, struct buffer *out) {
    char more[48];
    const bool has_key = n->key_len > 0;
    resp_reply_array(out, 1 + (uint64_t)has_key + (n->requests > 1));
    resp_reply_bulk_string(out, n->operation);
    if (has_key) {
        uint8_t key[NODE_SLOW_KEY_BYTES + sizeof more];
        size_t len = n->key_len;
        if (len > NODE_SLOW_KEY_BYTES) len = NODE_SLOW_KEY_BYTES;
        memcpy(key, n->key, len);
        if (len < n->key_len) {
            const int more_len = snprintf(more, sizeof more, "... (%" PRIu32 " more bytes)",
                                          n->key_len - (uint32_t)len);
            ASSERT(more_len > 0 && (size_t)more_len < sizeof more);
            memcpy(key + len, more, (size_t)more_len);
            len += (size_t)more_len;
        }
        resp_reply_bulk(out, bytes_of(key, len));
    }
    if (n->requests > 1) {
        snprintf(more, sizeof more, "... (%" PRIu32 " more arguments)", n->requests - 1);
        resp_reply_bulk_string(out, more);
    }
}

void resp_slowlog_encode(const struct plan *plan, const struct node_view *view,
                         struct buffer *out) {
    if (plan->shape == SHAPE_SLOWLOG_LEN) {
        resp_reply_integer(out, view->slow_count);
        return;
    }
    ASSERT(plan->shape == SHAPE_SLOWLOG);
    uint32_t count = view->slow_count;
    if (plan->detail_number < count) count = (uint32_t)plan->detail_number;
    resp_reply_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct node_slow *n = &view->slow[i];
        resp_reply_array(out, 6);
        resp_reply_integer(out, (int64_t)n->id);
        resp_reply_integer(out, (int64_t)(n->at_ms / 1000));
        resp_reply_integer(out, (int64_t)n->took_us);
        encode_command(n, out);
        resp_reply_bulk_string(out, n->client);
        resp_reply_bulk_string(out, n->name);
    }
}
