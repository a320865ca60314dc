/* Commands about the connection and the node. */
#include "proto/resp_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#define QUOTED_BYTES_MAX 128u /* of a client's bytes in an error line */
#define PATTERNS_MAX 128u     /* of CONFIG GET: each is tried on each option */

void resp_translate_ping(struct resp_call *c) {
    const struct resp *const r = c->resp;
    if (r->argc > 2) {
        resp_reply_error(c->out, "ERR wrong number of arguments for 'ping' command");
    } else if (r->argc == 2) {
        resp_reply_bulk(c->out, r->argv[1]);
    } else {
        resp_reply_simple(c->out, "PONG");
    }
}

void resp_translate_echo(struct resp_call *c) {
    resp_reply_bulk(c->out, c->resp->argv[1]);
}

void resp_translate_quit(struct resp_call *c) {
    c->plan->close_after = true;
    resp_reply_simple(c->out, "OK");
}

void resp_translate_reset(struct resp_call *c) {
    c->resp->version = 2;
    c->resp->name[0] = '\0';
    resp_reply_simple(c->out, "RESET");
}

void resp_translate_select(struct resp_call *c) {
    int64_t index = 0;
    if (!resp_integer_valid(c, c->resp->argv[1], &index)) return;
    if (index < INT32_MIN || index > INT32_MAX) {
        resp_reply_error(c->out, "ERR value is out of range, value must between -2147483648 and "
                                 "2147483647");
    } else if (index != 0) {
        resp_reply_error(c->out, "ERR DB index is out of range");
    } else {
        resp_reply_simple(c->out, "OK");
    }
}

static void reply_u64_text(struct buffer *out, uint64_t value) {
    uint8_t digits[20];
    resp_reply_bulk(out, bytes_of(digits, (size_t)(resp_put_u64(digits, value) - digits)));
}

void resp_translate_time(struct resp_call *c) {
    resp_reply_array(c->out, 2);
    reply_u64_text(c->out, c->now_ms / 1000);
    reply_u64_text(c->out, c->now_ms % 1000 * 1000);
}

/* There are no passwords yet: the one user, "default", needs none and takes any, as in a
 * Redis without requirepass. */
static bool user_valid(struct bytes user) {
    return bytes_equal(user, BYTES_LIT("default"));
}

static void reply_wrong_password(struct buffer *out) {
    resp_reply_error(out, "WRONGPASS invalid username-password pair or user is disabled.");
}

void resp_translate_auth(struct resp_call *c) {
    const struct resp *const r = c->resp;
    if (r->argc > 3) {
        resp_reply_error(c->out, "ERR syntax error");
    } else if (r->argc == 2) {
        resp_reply_error(c->out,
                         "ERR AUTH <password> called without any password configured for the "
                         "default user. Are you sure your configuration is correct?");
    } else if (!user_valid(r->argv[1])) {
        reply_wrong_password(c->out);
    } else {
        resp_reply_simple(c->out, "OK");
    }
}

/* ---- names ---- */

static bool is_printable(struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '!' || text.ptr[i] > '~') return false;
    }
    return true;
}

/* False after an error reply. */
static bool name_valid(struct resp_call *c, struct bytes name) {
    if (!is_printable(name)) {
        resp_reply_error(c->out,
                         "ERR Client names cannot contain spaces, newlines or special characters.");
        return false;
    }
    if (name.len > RESP_NAME_BYTES_MAX) {
        resp_reply_errorf(c->out, "ERR Client names cannot be longer than %u bytes.",
                          RESP_NAME_BYTES_MAX);
        return false;
    }
    return true;
}

static void set_name(struct resp *r, struct bytes name) {
    ASSERT(name.len <= RESP_NAME_BYTES_MAX);
    if (name.len > 0) memcpy(r->name, name.ptr, name.len);
    r->name[name.len] = '\0';
}

void resp_translate_client_setname(struct resp_call *c) {
    if (!name_valid(c, c->resp->argv[2])) return;
    set_name(c->resp, c->resp->argv[2]);
    resp_reply_simple(c->out, "OK");
}

void resp_translate_client_getname(struct resp_call *c) {
    if (c->resp->name[0] == '\0') {
        resp_reply_null(c->out, c->resp->version);
    } else {
        resp_reply_bulk_string(c->out, c->resp->name);
    }
}

void resp_translate_client_setinfo(struct resp_call *c) {
    const struct bytes what = c->resp->argv[2];
    char text[QUOTED_BYTES_MAX + 1];
    const bool name = bytes_equal_nocase(what, "lib-name");
    if (!name && !bytes_equal_nocase(what, "lib-ver")) {
        resp_reply_errorf(c->out, "ERR Unrecognized option '%s'",
                          resp_printable(what, text, QUOTED_BYTES_MAX));
    } else if (!is_printable(c->resp->argv[3])) {
        resp_reply_errorf(c->out, "ERR %s cannot contain spaces, newlines or special characters.",
                          name ? "lib-name" : "lib-ver");
    } else {
        resp_reply_simple(c->out, "OK");
    }
}

void resp_translate_client_id(struct resp_call *c) {
    resp_plan_node(c, NODE_CLIENT, SHAPE_CLIENT_ID);
}

void resp_translate_client_info(struct resp_call *c) {
    resp_plan_node(c, NODE_CLIENT, SHAPE_CLIENT_INFO);
}

void resp_translate_client_list(struct resp_call *c) {
    if (c->resp->argc > 2) {
        resp_reply_error(c->out, "ERR CLIENT LIST takes no options here");
        return;
    }
    resp_plan_node(c, NODE_CLIENT, SHAPE_CLIENT_INFO);
}

/* NO-EVICT and NO-TOUCH. */
void resp_translate_client_switch(struct resp_call *c) {
    const struct bytes word = c->resp->argv[2];
    if (bytes_equal_nocase(word, "on") || bytes_equal_nocase(word, "off")) {
        resp_reply_simple(c->out, "OK");
    } else {
        resp_reply_error(c->out, "ERR syntax error");
    }
}

void resp_translate_client_reply(struct resp_call *c) {
    const struct bytes word = c->resp->argv[2];
    if (bytes_equal_nocase(word, "on")) {
        resp_reply_simple(c->out, "OK");
    } else if (bytes_equal_nocase(word, "off") || bytes_equal_nocase(word, "skip")) {
        resp_reply_error(c->out, "ERR CLIENT REPLY takes only ON here");
    } else {
        resp_reply_error(c->out, "ERR syntax error");
    }
}

/* ---- HELLO ---- */

/* False after an error reply. */
static bool take_hello_options(struct resp_call *c, struct bytes *ret_name, bool *ret_named) {
    const struct resp *const r = c->resp;
    for (uint32_t i = 2; i < r->argc; i++) {
        const uint32_t more = r->argc - 1 - i;
        if (bytes_equal_nocase(r->argv[i], "auth") && more >= 2) {
            if (!user_valid(r->argv[i + 1])) {
                reply_wrong_password(c->out);
                return false;
            }
            i += 2;
        } else if (bytes_equal_nocase(r->argv[i], "setname") && more >= 1) {
            if (!name_valid(c, r->argv[i + 1])) return false;
            *ret_name = r->argv[i + 1];
            *ret_named = true;
            i += 1;
        } else {
            char text[QUOTED_BYTES_MAX + 1];
            resp_reply_errorf(c->out, "ERR Syntax error in HELLO option '%s'",
                              resp_printable(r->argv[i], text, QUOTED_BYTES_MAX));
            return false;
        }
    }
    return true;
}

void resp_translate_hello(struct resp_call *c) {
    struct resp *const r = c->resp;
    int64_t version = r->version;
    if (r->argc > 1 && !resp_integer_decode(r->argv[1], &version)) {
        resp_reply_error(c->out, "ERR Protocol version is not an integer or out of range");
        return;
    }
    if (version < 2 || version > 3) {
        resp_reply_error(c->out, "NOPROTO unsupported protocol version");
        return;
    }
    struct bytes name = BYTES_NONE;
    bool named = false;
    if (!take_hello_options(c, &name, &named)) return;
    if (named) set_name(r, name);
    r->version = (uint8_t)version;
    resp_plan_node(c, NODE_CLIENT, SHAPE_HELLO);
}

/* ---- the node ---- */

/* Bit i: section i of resp_info_sections is wanted. */
void resp_translate_info(struct resp_call *c) {
    const struct resp *const r = c->resp;
    uint64_t wanted = 0;
    for (uint32_t i = 1; i < r->argc; i++) wanted |= resp_info_section(r->argv[i]);
    if (r->argc == 1) wanted = resp_info_section(BYTES_LIT("default"));
    resp_plan_node(c, NODE_INFO, SHAPE_INFO);
    c->plan->detail_number = wanted;
}

/* The patterns stay in argv; the answer is made before the next command is decoded. */
void resp_translate_config_get(struct resp_call *c) {
    if (c->resp->argc > 2 + PATTERNS_MAX) {
        resp_reply_errorf(c->out, "ERR too many patterns: at most %u allowed", PATTERNS_MAX);
        return;
    }
    resp_plan_node(c, NODE_CONFIG, SHAPE_CONFIG);
    c->plan->detail = bytes_of(c->resp->argv + 2, (c->resp->argc - 2) * sizeof(struct bytes));
}

void resp_translate_cluster_info(struct resp_call *c) {
    resp_plan_node(c, NODE_CLUSTER, SHAPE_CLUSTER_INFO);
}

void resp_translate_cluster_myid(struct resp_call *c) {
    resp_plan_node(c, NODE_CLUSTER, SHAPE_CLUSTER_MYID);
}

void resp_translate_cluster_nodes(struct resp_call *c) {
    resp_plan_node(c, NODE_CLUSTER, SHAPE_CLUSTER_NODES);
}

void resp_translate_cluster_shards(struct resp_call *c) {
    resp_plan_node(c, NODE_CLUSTER, SHAPE_CLUSTER_SHARDS);
}

void resp_translate_cluster_slots(struct resp_call *c) {
    resp_plan_node(c, NODE_CLUSTER, SHAPE_CLUSTER_SLOTS);
}

void resp_translate_cluster_keyslot(struct resp_call *c) {
    resp_reply_integer(c->out, crc16_slot(c->resp->argv[2]));
}

static void put_upper(const char *name, char upper[RESP_COMMAND_NAME_BYTES]) {
    for (size_t i = 0; i < RESP_COMMAND_NAME_BYTES; i++) {
        upper[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
        if (name[i] == '\0') break;
    }
}

void resp_translate_refused(struct resp_call *c) {
    char container[RESP_COMMAND_NAME_BYTES], name[RESP_COMMAND_NAME_BYTES];
    const char *const reason = strchr(c->command->summary, ':');
    ASSERT(reason != NULL);
    put_upper(c->command->container, container);
    put_upper(c->command->name, name);
    resp_reply_errorf(c->out, "ERR %s %s is not supported%s", container, name, reason);
}

void resp_translate_help(struct resp_call *c) {
    const struct resp_command *const container =
        resp_command_find(bytes_of_string(c->command->container));
    char name[RESP_COMMAND_NAME_BYTES], line[128];
    uint32_t count = 0;
    while (container->children[count].name[0] != '\0') count++;
    put_upper(container->name, name);
    resp_reply_array(c->out, 1 + 2 * (uint64_t)count);
    struct buffer *const out = c->out;
    buffer_printf(out, "+%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n", name);
    for (uint32_t i = 0; i < count; i++) {
        put_upper(container->children[i].name, line);
        buffer_printf(out, "+%s\r\n+    %s.\r\n", line, container->children[i].summary);
    }
}
