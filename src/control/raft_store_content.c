/* What the records of a file add up to; see raft_store_record.h. */
#include "base/assert.h"
#include "base/mem.h"
#include "control/raft_store_record.h"

/* What load knows while it reads. */
struct load {
    struct bytes in;                    /* the whole file */
    struct raft_store_header header;    /* of it */
    uint64_t offset;                    /* of the next record */
    uint64_t records;                   /* taken so far */
    size_t entries_max;                 /* room in content.entries */
    struct raft_store_restored content; /* as of `offset` */
};

static uint64_t last_index(const struct raft_store_restored *c) {
    return c->snapshot.index + c->entry_count;
}

static uint64_t last_term(const struct raft_store_restored *c) {
    return c->entry_count == 0 ? c->snapshot.term : c->entries[c->entry_count - 1].term;
}

static bool cluster_is_known(const struct raft_store_owner *owner) {
    static const uint8_t unknown[RAFT_STORE_CLUSTER_BYTES];
    return memcmp(owner->cluster, unknown, sizeof unknown) != 0;
}

/* Each of these gives NULL, or what is wrong. */

static const char *take_owner(struct load *l, const struct raft_store_owner *owner) {
    struct raft_store_owner *now = &l->content.owner;
    if (l->records > 0) {
        if (owner->member != now->member) return "it becomes another member's";
        if (cluster_is_known(now)) return "the cluster's id was known";
    }
    *now = *owner;
    return NULL;
}

static const char *take_hard(struct load *l, struct raft_hard_state hard) {
    const struct raft_hard_state now = l->content.hard;
    if (hard.term < now.term) return "the term goes back";
    if (hard.term == now.term && now.vote != 0 && hard.vote != now.vote)
        return "a second vote in a term";
    l->content.hard = hard;
    return NULL;
}

static const char *take_entry(struct load *l, const struct raft_entry *entry) {
    struct raft_store_restored *c = &l->content;
    if (entry->index != last_index(c) + 1) return "an entry out of order";
    if (entry->term < last_term(c)) return "an entry whose term goes back";
    if (c->entry_count == l->entries_max) {
        l->entries_max = l->entries_max == 0 ? 64 : l->entries_max * 2;
        c->entries = mem_realloc(c->entries, l->entries_max * sizeof *c->entries);
    }
    c->entries[c->entry_count++] = *entry;
    return NULL;
}

static const char *take_truncate(struct load *l, uint64_t index) {
    struct raft_store_restored *c = &l->content;
    if (index <= c->applied) return "it takes back what was applied";
    if (index > last_index(c) + 1) return "it cuts behind the end";
    c->entry_count = (size_t)(index - 1 - c->snapshot.index);
    return NULL;
}

static const char *take_applied(struct load *l, uint64_t index) {
    struct raft_store_restored *c = &l->content;
    if (index < c->applied) return "the applied index goes back";
    if (index > last_index(c)) return "applied what is not there";
    c->applied = index;
    return NULL;
}

static const char *take(struct load *l, const struct raft_store_record *r) {
    if ((l->records == 0) != (r->kind == RAFT_STORE_OWNER) && l->records < 2)
        return "not the owner first";
    if ((l->records == 1) != (r->kind == RAFT_STORE_SNAPSHOT)) return "not the snapshot second";
    switch (r->kind) {
    case RAFT_STORE_SEAL: return r->index == l->offset ? NULL : "a seal of another place";
    case RAFT_STORE_OWNER: return take_owner(l, &r->owner);
    case RAFT_STORE_SNAPSHOT:
        l->content.snapshot = r->snapshot;
        l->content.applied = r->snapshot.index;
        return NULL;
    case RAFT_STORE_HARD: return take_hard(l, r->hard);
    case RAFT_STORE_ENTRY: return take_entry(l, &r->entry);
    case RAFT_STORE_TRUNCATE: return take_truncate(l, r->index);
    case RAFT_STORE_APPLIED: return take_applied(l, r->index);
    }
    return "of no kind";
}

/* Whether everything up to some place behind `offset` is known to have been durable. */
static bool was_durable(const struct load *l) {
    const struct bytes in = l->in;
    if (l->offset < l->header.head_bytes) return true;
    for (uint64_t at = l->offset + 1; at + RAFT_STORE_SEAL_BYTES <= in.len; at++) {
        const struct bytes found = bytes_of(in.ptr + at, RAFT_STORE_SEAL_BYTES);
        struct raft_store_record r;
        size_t len;
        if (get_u64_le(found.ptr + 4) != (8 | (uint64_t)RAFT_STORE_SEAL << 32)) continue;
        if (!status_ok(raft_store_record_decode(found, l->header.identity, &r, &len))) continue;
        if (r.index == at) return true;
    }
    return false;
}

/* Take records up to the end, or to the first that cannot be taken. */
static const char *read_records(struct load *l) {
    while (l->offset < l->in.len) {
        const struct bytes rest = bytes_of(l->in.ptr + l->offset, l->in.len - l->offset);
        struct raft_store_record r;
        size_t len = 0;
        const struct status s = raft_store_record_decode(rest, l->header.identity, &r, &len);
        if (s.code == ST_NOT_FOUND) return was_durable(l) ? "damaged" : NULL;
        if (!status_ok(s)) return "of another version";
        if (l->offset < l->header.head_bytes && len > l->header.head_bytes - l->offset)
            return "longer than the head";
        const char *wrong = take(l, &r);
        if (wrong != NULL) return wrong;
        l->offset += len;
        l->records++;
    }
    return l->offset < l->header.head_bytes ? "the file is cut off" : NULL;
}

STATUS raft_store_load(struct bytes in, uint64_t number, struct raft_store_header *ret_header,
                       struct raft_store_restored *ret_restored,
                       struct raft_store_fault *ret_fault) {
    struct load l = { .in = in };
    *ret_fault = (struct raft_store_fault){ .what = "bad header" };
    TRY(raft_store_header_decode(in, &l.header));
    ret_fault->what = "the header of another file";
    if (l.header.identity.number != number) return status_of(ST_CORRUPT);

    l.offset = RAFT_STORE_HEADER_BYTES;
    const char *wrong = read_records(&l);
    if (wrong == NULL && l.records < 2) wrong = "nothing in it";
    *ret_fault = (struct raft_store_fault){ .offset = l.offset, .what = wrong };
    if (wrong != NULL) {
        raft_store_restored_deinit(&l.content);
        return status_of(ST_CORRUPT);
    }
    ASSERT(l.content.applied >= l.content.snapshot.index);
    ASSERT(l.content.applied <= last_index(&l.content));
    *ret_header = l.header;
    *ret_restored = l.content;
    return status_of(ST_OK);
}

void raft_store_restored_deinit(struct raft_store_restored *r) {
    mem_free(r->entries);
    mem_free(r->bytes);
    *r = (struct raft_store_restored){ .entries = NULL };
}

void raft_store_content_replace(struct raft_store_restored *content,
                                const struct raft_snapshot *snapshot, bool install) {
    ASSERT(snapshot->index > content->snapshot.index);
    if (install) {
        content->entry_count = 0;
    } else {
        const size_t covered = (size_t)(snapshot->index - content->snapshot.index);
        ASSERT(covered <= content->entry_count);
        ASSERT(content->entries[covered - 1].term == snapshot->term);
        content->entry_count -= covered;
        memmove(content->entries, content->entries + covered,
                content->entry_count * sizeof *content->entries);
    }
    content->snapshot = *snapshot;
    if (content->applied < snapshot->index) content->applied = snapshot->index;
}

size_t raft_store_content_bytes(const struct raft_store_restored *content) {
    /* Owner, snapshot, hard state and applied index without what has no fixed length. */
    size_t bytes = RAFT_STORE_HEADER_BYTES + 4 * RAFT_STORE_RECORD_HEADER_BYTES + 20 + 20 + 12 + 8;
    bytes += content->snapshot.config.len + content->snapshot.data.len;
    if (content->hard.term == 0) bytes -= RAFT_STORE_RECORD_HEADER_BYTES + 12;
    if (content->applied == content->snapshot.index) bytes -= RAFT_STORE_RECORD_HEADER_BYTES + 8;
    for (size_t i = 0; i < content->entry_count; i++)
        bytes += RAFT_STORE_ENTRY_OVERHEAD_BYTES + content->entries[i].data.len;
    return bytes;
}

void raft_store_content_encode(const struct raft_store_restored *content,
                               struct raft_store_identity identity, struct buffer *out) {
    ASSERT(buffer_len(out) == 0);
    ASSERT(content->applied >= content->snapshot.index);
    const struct raft_store_header header = { identity, raft_store_content_bytes(content) };
    uint8_t head[RAFT_STORE_HEADER_BYTES];
    raft_store_header_encode(&header, head);
    buffer_append(out, bytes_of(head, sizeof head));
    raft_store_put_owner(out, &content->owner);
    raft_store_put_snapshot(out, &content->snapshot);
    if (content->hard.term > 0) raft_store_put_hard(out, content->hard);
    for (size_t i = 0; i < content->entry_count; i++)
        raft_store_put_entry(out, &content->entries[i]);
    if (content->applied > content->snapshot.index) raft_store_put_applied(out, content->applied);
    ASSERT(!out->overflowed);
    ASSERT(buffer_len(out) == header.head_bytes);
    raft_store_finish(identity, sizeof head, out->ptr + out->start + sizeof head,
                      buffer_len(out) - sizeof head);
}
