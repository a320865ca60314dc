#include "server/config_internal.h"

#include "base/assert.h"
#include "base/log.h"

#include <stdio.h>

/* Settings of the older stores for parts that Atoll does not have or that need no setting.
 * They are accepted, so that an environment made for those starts a node, and reported. */
static const struct {
    const char *name;
    const char *reason;
} inert[] = {
    { "MAX_L0_FILES", "compaction starts by itself when reads would get slower" },
    { "SPARSE_INDEX_INTERVAL", "tables are indexed by the block; see --block" },
    { "WAL_COMMIT_INTERVAL",
      "writes that arrive together are synced together without waiting; see --sync" },
    { "WAL_MAX_BATCH_SIZE", "a sync covers every write that waits for it" },
    { "CLUSTER_VIRTUAL_NODES", "slots are balanced over the members whatever their number" },
    { "BATCH_CONCURRENCY", "the items of a batch go to their nodes as fast as these answer" },
    { "BLOOM_SIZE_L0", "filters grow with the number of keys; see --filter-bits" },
    { "BLOOM_SIZE_L1", "filters grow with the number of keys; see --filter-bits" },
};

static_assert(sizeof inert / sizeof *inert == CONFIG_INERT, "struct config keeps each of them");

const char *config_inert_name(uint32_t index) {
    ASSERT(index < CONFIG_INERT);
    return inert[index].name;
}

const char *config_inert_reason(uint32_t index) {
    ASSERT(index < CONFIG_INERT);
    return inert[index].reason;
}

void config_take_inert(struct config *c, enum option_source source, struct bytes name,
                       struct bytes value) {
    ASSERT(source != OPTION_DEFAULT);
    for (uint32_t i = 0; i < CONFIG_INERT; i++) {
        struct config_inert *one = &c->inert[i];
        if (!bytes_equal(name, bytes_of_string(inert[i].name))) continue;
        if (source < one->source) continue;
        one->source = source;
        log_escape(value, one->value, sizeof one->value);
    }
}

void config_take_inert_environment(struct config *c, struct os *os) {
    for (uint32_t i = 0; i < CONFIG_INERT; i++) {
        const struct bytes name = bytes_of_string(inert[i].name);
        const char *value = os_environment(os, inert[i].name);
        if (value != NULL) config_take_inert(c, OPTION_ENVIRONMENT, name, bytes_of_string(value));
    }
}

void config_list_inert(const struct config *c, void (*say)(const char *line)) {
    for (uint32_t i = 0; i < CONFIG_INERT; i++) {
        char line[256];
        if (c->inert[i].source == OPTION_DEFAULT) continue;
        const int len =
            snprintf(line, sizeof line, "%s=%s (%s) has no effect here, because %s", inert[i].name,
                     c->inert[i].value, option_source_name(c->inert[i].source), inert[i].reason);
        ASSERT(len > 0 && (size_t)len < sizeof line);
        say(line);
    }
}
