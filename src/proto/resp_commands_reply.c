/* COMMAND: what the table of commands says, as Redis 7 says it. */
#include "proto/resp_internal.h"

#include "base/assert.h"

/* A list of words whose length is written before them. */
struct words {
    const char *list[8];
    uint32_t count;
};

static void words_add(struct words *w, const char *word) {
    ASSERT(w->count < sizeof w->list / sizeof w->list[0]);
    w->list[w->count++] = word;
}

/* Flags and categories are sets of status replies. */
static void reply_words(struct buffer *out, uint8_t version, const struct words *w) {
    resp_reply_set(out, version, w->count);
    for (uint32_t i = 0; i < w->count; i++) resp_reply_simple(out, w->list[i]);
}

static void reply_flags(struct buffer *out, uint8_t version, const struct resp_command *c) {
    struct words w = { .count = 0 };
    if (c->flags & RESP_WRITE) words_add(&w, "write");
    if (c->flags & RESP_READONLY) words_add(&w, "readonly");
    if (c->flags & RESP_FAST) words_add(&w, "fast");
    if (c->flags & RESP_NO_AUTH) words_add(&w, "no_auth");
    reply_words(out, version, &w);
}

static void reply_categories(struct buffer *out, uint8_t version, const struct resp_command *c) {
    struct words w = { .count = 0 };
    if (c->flags & RESP_WRITE) words_add(&w, "@write");
    if (c->flags & RESP_READONLY) words_add(&w, "@read");
    if (c->group == RESP_STRING) words_add(&w, "@string");
    if (c->group == RESP_GENERIC) words_add(&w, "@keyspace");
    if (c->group == RESP_CONNECTION) words_add(&w, "@connection");
    if (c->flags & RESP_DANGEROUS) words_add(&w, "@dangerous");
    words_add(&w, c->flags & RESP_FAST ? "@fast" : "@slow");
    reply_words(out, version, &w);
}

static void reply_tips(struct buffer *out, uint8_t version, const struct resp_command *c) {
    const uint32_t spread = (c->flags & RESP_SPREAD) != 0;
    const uint32_t policy = (c->flags & (RESP_SUM | RESP_ALL_OK)) != 0;
    resp_reply_set(out, version, spread + policy);
    if (spread) resp_reply_bulk_string(out, "request_policy:multi_shard");
    if (c->flags & RESP_SUM) resp_reply_bulk_string(out, "response_policy:agg_sum");
    if (c->flags & RESP_ALL_OK) resp_reply_bulk_string(out, "response_policy:all_succeeded");
}

static void reply_key_specs(struct buffer *out, uint8_t version, const struct resp_command *c) {
    resp_reply_set(out, version, c->key_first > 0);
    if (c->key_first == 0) return;
    resp_reply_map(out, version, 3);
    resp_reply_bulk_string(out, "flags");
    resp_reply_set(out, version, 1);
    resp_reply_simple(out, c->flags & RESP_WRITE ? "RW" : "RO");

    resp_reply_bulk_string(out, "begin_search");
    resp_reply_map(out, version, 2);
    resp_reply_bulk_string(out, "type");
    resp_reply_bulk_string(out, "index");
    resp_reply_bulk_string(out, "spec");
    resp_reply_map(out, version, 1);
    resp_reply_bulk_string(out, "index");
    resp_reply_integer(out, c->key_first);

    resp_reply_bulk_string(out, "find_keys");
    resp_reply_map(out, version, 2);
    resp_reply_bulk_string(out, "type");
    resp_reply_bulk_string(out, "range");
    resp_reply_bulk_string(out, "spec");
    resp_reply_map(out, version, 3);
    resp_reply_bulk_string(out, "lastkey");
    /* Counted from the first key, unless from the end. */
    resp_reply_integer(out, c->key_last < 0 ? c->key_last : c->key_last - c->key_first);
    resp_reply_bulk_string(out, "keystep");
    resp_reply_integer(out, c->key_step);
    resp_reply_bulk_string(out, "limit");
    resp_reply_integer(out, 0);
}

static uint32_t children_count(const struct resp_command *c) {
    uint32_t count = 0;
    if (c->children == NULL) return 0;
    while (c->children[count].name[0] != '\0') count++;
    return count;
}

static void reply_name(struct buffer *out, const struct resp_command *c) {
    char text[2 * RESP_COMMAND_NAME_BYTES];
    size_t len = 0;
    if (c->container != NULL) {
        len = strlen(c->container);
        memcpy(text, c->container, len);
        text[len++] = '|';
    }
    const size_t name_len = strlen(c->name);
    memcpy(text + len, c->name, name_len);
    resp_reply_bulk(out, bytes_of(text, len + name_len));
}

/* All but the list of subcommands, whose entries have the same form. */
static void reply_info_head(struct buffer *out, uint8_t version, const struct resp_command *c) {
    resp_reply_array(out, 10);
    reply_name(out, c);
    resp_reply_integer(out, c->arity);
    reply_flags(out, version, c);
    resp_reply_integer(out, c->key_first);
    resp_reply_integer(out, c->key_last);
    resp_reply_integer(out, c->key_step);
    reply_categories(out, version, c);
    reply_tips(out, version, c);
    reply_key_specs(out, version, c);
}

static void reply_info(struct buffer *out, uint8_t version, const struct resp_command *c) {
    const uint32_t children = children_count(c);
    reply_info_head(out, version, c);
    resp_reply_array(out, children);
    for (uint32_t i = 0; i < children; i++) {
        reply_info_head(out, version, &c->children[i]);
        resp_reply_array(out, 0);
    }
}

/* "get", or "config|get". */
static const struct resp_command *find_by_full_name(struct bytes name) {
    const uint8_t *const bar = name.len == 0 ? NULL : memchr(name.ptr, '|', name.len);
    if (bar == NULL) return resp_command_find(name);
    const size_t len = (size_t)(bar - name.ptr);
    const struct resp_command *const container = resp_command_find(bytes_of(name.ptr, len));
    if (container == NULL || container->children == NULL) return NULL;
    return resp_command_find_child(container, bytes_of(bar + 1, name.len - len - 1));
}

void resp_translate_command(struct resp_call *c) {
    const uint32_t count = resp_command_count();
    resp_reply_array(c->out, count);
    for (uint32_t i = 0; i < count; i++) reply_info(c->out, c->resp->version, resp_command_at(i));
}

void resp_translate_command_count(struct resp_call *c) {
    resp_reply_integer(c->out, resp_command_count());
}

void resp_translate_command_info(struct resp_call *c) {
    const struct resp *const r = c->resp;
    if (r->argc == 2) {
        resp_translate_command(c);
        return;
    }
    resp_reply_array(c->out, r->argc - 2);
    for (uint32_t i = 2; i < r->argc; i++) {
        const struct resp_command *const command = find_by_full_name(r->argv[i]);
        if (command != NULL) {
            reply_info(c->out, r->version, command);
        } else {
            resp_reply_null(c->out, r->version);
        }
    }
}

static const char *const group_names[] = {
    [RESP_STRING] = "string",         [RESP_GENERIC] = "generic", [RESP_SERVER] = "server",
    [RESP_CONNECTION] = "connection", [RESP_CLUSTER] = "cluster",
};

static void reply_docs_head(struct buffer *out, uint8_t version, const struct resp_command *c,
                            uint32_t more) {
    reply_name(out, c);
    resp_reply_map(out, version, 3 + more);
    resp_reply_bulk_string(out, "summary");
    resp_reply_bulk_string(out, c->summary);
    resp_reply_bulk_string(out, "since");
    resp_reply_bulk_string(out, c->since);
    resp_reply_bulk_string(out, "group");
    resp_reply_bulk_string(out, group_names[c->group]);
}

static void reply_docs(struct buffer *out, uint8_t version, const struct resp_command *c) {
    const uint32_t children = children_count(c);
    reply_docs_head(out, version, c, children > 0);
    if (children == 0) return;
    resp_reply_bulk_string(out, "subcommands");
    resp_reply_map(out, version, children);
    for (uint32_t i = 0; i < children; i++) reply_docs_head(out, version, &c->children[i], 0);
}

/* Names that are not known are left out. */
void resp_translate_command_docs(struct resp_call *c) {
    const struct resp *const r = c->resp;
    uint32_t known = 0;
    for (uint32_t i = 2; i < r->argc; i++) known += find_by_full_name(r->argv[i]) != NULL;
    if (r->argc == 2) known = resp_command_count();
    resp_reply_map(c->out, r->version, known);
    for (uint32_t i = 2; i < r->argc; i++) {
        const struct resp_command *const command = find_by_full_name(r->argv[i]);
        if (command != NULL) reply_docs(c->out, r->version, command);
    }
    for (uint32_t i = 0; r->argc == 2 && i < known; i++)
        reply_docs(c->out, r->version, resp_command_at(i));
}
