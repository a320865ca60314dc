#include "proto/node_view.h"

#include "base/assert.h"

const char *node_class_name(enum op_class class) {
    static const char *const names[OP_CLASSES] = {
        [OP_CLASS_READ] = "read", [OP_CLASS_WRITE] = "write", [OP_CLASS_DELETE] = "delete",
        [OP_CLASS_SCAN] = "scan", [OP_CLASS_BATCH] = "batch",
    };
    ASSERT(class < OP_CLASSES);
    return names[class];
}

const char *node_level_name(enum level_class level) {
    static const char *const names[LEVEL_CLASSES] = {
        [LEVEL_CLASS_ONE] = "one",
        [LEVEL_CLASS_QUORUM] = "quorum",
        [LEVEL_CLASS_ALL] = "all",
        [LEVEL_CLASS_NUMBER] = "number",
    };
    ASSERT(level < LEVEL_CLASSES);
    return names[level];
}

const char *node_stage_name(enum node_stage stage) {
    static const char *const names[NODE_STAGES] = {
        [NODE_STAGE_ALONE] = "alone",     [NODE_STAGE_GATHERING] = "gathering",
        [NODE_STAGE_JOINING] = "joining", [NODE_STAGE_MEMBER] = "member",
        [NODE_STAGE_PROXY] = "proxy",
    };
    ASSERT(stage < NODE_STAGES);
    return names[stage];
}

const char *node_standing_name(enum node_standing standing) {
    static const char *const names[NODE_STANDINGS] = {
        [NODE_ACTIVE] = "active",
        [NODE_JOINING] = "joining",
        [NODE_LEAVING] = "leaving",
        [NODE_DEAD] = "dead",
    };
    ASSERT(standing < NODE_STANDINGS);
    return names[standing];
}
