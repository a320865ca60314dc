#include "storage/manifest.h"

#include "base/assert.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/mem.h"

enum manifest_tag {
    TAG_FILE = 1,
    TAG_NEXT_NUMBER = 2,
    TAG_FIRST_SEGMENT = 3,
    TAG_ADD = 4,
    TAG_DELETE = 5,
    TAG_FLOOR = 6,
    TAG_SEAL = 7,
};

/* ---- edits ---- */

void manifest_edit_deinit(struct manifest_edit *edit) {
    mem_free(edit->adds);
    mem_free(edit->deletes);
    floors_deinit(&edit->floors);
    *edit = (struct manifest_edit){ 0 };
}

void manifest_edit_add(struct manifest_edit *edit, const struct manifest_table *table) {
    ASSERT(table->level < MANIFEST_LEVELS);
    ASSERT(table->number > 0);
    if (edit->add_count == edit->add_capacity) {
        edit->add_capacity = edit->add_capacity == 0 ? 4 : edit->add_capacity * 2;
        edit->adds = mem_realloc(edit->adds, edit->add_capacity * sizeof *edit->adds);
    }
    edit->adds[edit->add_count++] = *table;
}

void manifest_edit_delete(struct manifest_edit *edit, uint32_t level, uint64_t number) {
    ASSERT(level < MANIFEST_LEVELS);
    ASSERT(number > 0);
    if (edit->delete_count == edit->delete_capacity) {
        edit->delete_capacity = edit->delete_capacity == 0 ? 4 : edit->delete_capacity * 2;
        edit->deletes = mem_realloc(edit->deletes, edit->delete_capacity * sizeof *edit->deletes);
    }
    edit->deletes[edit->delete_count++] = (struct manifest_delete){ number, level };
}

static void ballot_encode(struct ballot b, struct buffer *out) {
    buffer_append_u64_le(out, b.stamp);
    buffer_append_varint(out, b.node);
    buffer_append_varint(out, b.boot);
}

static void table_encode(const struct manifest_table *t, struct buffer *out) {
    buffer_append_u8(out, TAG_ADD);
    buffer_append_u8(out, (uint8_t)t->level);
    buffer_append_varint(out, t->number);
    buffer_append_varint(out, t->file_bytes);
    buffer_append_varint(out, t->records);
    buffer_append_varint(out, t->tombstones);
    buffer_append_varint(out, t->raw_bytes);
    buffer_append_varint(out, t->expiring);
    buffer_append_varint(out, t->expires_min_ms);
    ballot_encode(t->ballot_max, out);
    buffer_append_varint(out, t->ikey_min.len);
    buffer_append(out, t->ikey_min);
    buffer_append_varint(out, t->ikey_max.len);
    buffer_append(out, t->ikey_max);
}

static void fields_encode(const struct manifest_edit *edit, struct buffer *out) {
    if (edit->file_number != 0) {
        buffer_append_u8(out, TAG_FILE);
        buffer_append_u32_le(out, MANIFEST_FORMAT);
        buffer_append_u64_le(out, edit->file_number);
    }
    if (edit->next_number != 0) {
        buffer_append_u8(out, TAG_NEXT_NUMBER);
        buffer_append_varint(out, edit->next_number);
    }
    if (edit->first_segment != 0) {
        buffer_append_u8(out, TAG_FIRST_SEGMENT);
        buffer_append_varint(out, edit->first_segment);
    }
    for (uint32_t i = 0; i < edit->delete_count; i++) {
        buffer_append_u8(out, TAG_DELETE);
        buffer_append_u8(out, (uint8_t)edit->deletes[i].level);
        buffer_append_varint(out, edit->deletes[i].number);
    }
    for (uint32_t i = 0; i < edit->add_count; i++) table_encode(&edit->adds[i], out);
    for (uint32_t i = 0; i < edit->floors.count; i++) {
        uint8_t keyspace[2];
        put_u16_le(keyspace, edit->floors.items[i].keyspace);
        buffer_append_u8(out, TAG_FLOOR);
        buffer_append(out, bytes_of(keyspace, sizeof keyspace));
        ballot_encode(edit->floors.items[i].ballot, out);
    }
    if (edit->seal_offset != 0) {
        buffer_append_u8(out, TAG_SEAL);
        buffer_append_u64_le(out, edit->seal_offset);
    }
}

void manifest_edit_encode(const struct manifest_edit *edit, uint64_t number, struct buffer *out) {
    ASSERT(number > 0);
    const size_t start = buffer_len(out);
    buffer_append_u64_le(out, 0);
    fields_encode(edit, out);
    ASSERT(!out->overflowed);

    const size_t length = buffer_len(out) - start - MANIFEST_HEADER_BYTES;
    ASSERT(length > 0);
    ASSERT(length <= MANIFEST_EDIT_BYTES_MAX);
    uint8_t *record = out->ptr + out->start + start;
    put_u32_le(record + 4, (uint32_t)length);
    put_u32_le(record, crc32c((uint32_t)number, bytes_of(record + 4, 4 + length)));
}

static struct ballot ballot_decode(struct cursor *c) {
    struct ballot b = { .stamp = cursor_u64_le(c) };
    const uint64_t node = cursor_varint(c);
    const uint64_t boot = cursor_varint(c);
    if (node > UINT32_MAX || boot > UINT32_MAX) c->failed = true;
    b.node = (uint32_t)node;
    b.boot = (uint32_t)boot;
    return b;
}

static struct bytes ikey_decode(struct cursor *c) {
    const uint64_t len = cursor_varint(c);
    if (len <= 2 || len > IKEY_BYTES_MAX) {
        c->failed = true;
        return BYTES_NONE;
    }
    return cursor_take(c, len);
}

static struct manifest_table table_decode(struct cursor *c) {
    struct manifest_table t = { .level = cursor_u8(c) };
    t.number = cursor_varint(c);
    t.file_bytes = cursor_varint(c);
    t.records = cursor_varint(c);
    t.tombstones = cursor_varint(c);
    t.raw_bytes = cursor_varint(c);
    t.expiring = cursor_varint(c);
    t.expires_min_ms = cursor_varint(c);
    t.ballot_max = ballot_decode(c);
    t.ikey_min = ikey_decode(c);
    t.ikey_max = ikey_decode(c);
    if (t.level >= MANIFEST_LEVELS || t.number == 0 || t.records == 0) c->failed = true;
    if (t.tombstones > t.records || t.expiring > t.records) c->failed = true;
    if (!c->failed && bytes_compare(t.ikey_min, t.ikey_max) > 0) c->failed = true;
    return t;
}

static void field_decode(struct cursor *c, struct manifest_edit *edit) {
    switch ((enum manifest_tag)cursor_u8(c)) {
    case TAG_FILE:
        if (cursor_u32_le(c) != MANIFEST_FORMAT) c->failed = true;
        edit->file_number = cursor_u64_le(c);
        if (edit->file_number == 0) c->failed = true;
        return;
    case TAG_NEXT_NUMBER:
        edit->next_number = cursor_varint(c);
        if (edit->next_number == 0) c->failed = true;
        return;
    case TAG_FIRST_SEGMENT:
        edit->first_segment = cursor_varint(c);
        if (edit->first_segment == 0) c->failed = true;
        return;
    case TAG_ADD: {
        const struct manifest_table t = table_decode(c);
        if (!c->failed) manifest_edit_add(edit, &t);
        return;
    }
    case TAG_DELETE: {
        const uint8_t level = cursor_u8(c);
        const uint64_t number = cursor_varint(c);
        if (level >= MANIFEST_LEVELS || number == 0) c->failed = true;
        if (!c->failed) manifest_edit_delete(edit, level, number);
        return;
    }
    case TAG_FLOOR: {
        const uint16_t keyspace = cursor_u16_le(c);
        const struct ballot ballot = ballot_decode(c);
        if (!c->failed) floors_raise(&edit->floors, keyspace, ballot);
        return;
    }
    case TAG_SEAL:
        edit->seal_offset = cursor_u64_le(c);
        if (edit->seal_offset == 0) c->failed = true;
        return;
    }
    c->failed = true;
}

STATUS manifest_edit_decode(struct bytes payload, struct manifest_edit *ret_edit) {
    struct manifest_edit edit = { 0 };
    struct cursor c = cursor_of(payload);
    if (payload.len == 0) return status_of(ST_CORRUPT);
    while (!c.failed && c.rest.len > 0) field_decode(&c, &edit);
    if (c.failed) {
        manifest_edit_deinit(&edit);
        return status_of(ST_CORRUPT);
    }
    *ret_edit = edit;
    return status_of(ST_OK);
}

/* ---- state ---- */

static void state_table_deinit(struct manifest_table *t) {
    mem_free((void *)(uintptr_t)t->ikey_min.ptr);
    mem_free((void *)(uintptr_t)t->ikey_max.ptr);
}

void manifest_state_deinit(struct manifest_state *s) {
    for (uint32_t i = 0; i < s->count; i++) state_table_deinit(&s->tables[i]);
    mem_free(s->tables);
    floors_deinit(&s->floors);
    *s = (struct manifest_state){ 0 };
}

static struct bytes bytes_copy(struct bytes in) {
    uint8_t *copy = mem_alloc(in.len);
    memcpy(copy, in.ptr, in.len);
    return bytes_of(copy, in.len);
}

static struct manifest_table *state_find(struct manifest_state *s, uint64_t number) {
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->tables[i].number == number) return &s->tables[i];
    }
    return NULL;
}

static STATUS state_delete(struct manifest_state *s, const struct manifest_delete *d) {
    struct manifest_table *t = state_find(s, d->number);
    if (t == NULL || t->level != d->level) return status_of(ST_CORRUPT);
    state_table_deinit(t);
    *t = s->tables[--s->count];
    return status_of(ST_OK);
}

static STATUS state_add(struct manifest_state *s, const struct manifest_table *t) {
    if (state_find(s, t->number) != NULL) return status_of(ST_CORRUPT);
    if (s->count == s->capacity) {
        s->capacity = s->capacity == 0 ? 16 : s->capacity * 2;
        s->tables = mem_realloc(s->tables, s->capacity * sizeof *s->tables);
    }
    struct manifest_table *to = &s->tables[s->count++];
    *to = *t;
    to->ikey_min = bytes_copy(t->ikey_min);
    to->ikey_max = bytes_copy(t->ikey_max);
    return status_of(ST_OK);
}

STATUS manifest_state_apply(struct manifest_state *s, const struct manifest_edit *edit) {
    if (edit->next_number != 0) {
        if (edit->next_number < s->next_number) return status_of(ST_CORRUPT);
        s->next_number = edit->next_number;
    }
    if (edit->first_segment != 0) {
        if (edit->first_segment < s->first_segment) return status_of(ST_CORRUPT);
        s->first_segment = edit->first_segment;
    }
    for (uint32_t i = 0; i < edit->delete_count; i++) TRY(state_delete(s, &edit->deletes[i]));
    for (uint32_t i = 0; i < edit->add_count; i++) {
        if (edit->adds[i].number >= s->next_number) return status_of(ST_CORRUPT);
        TRY(state_add(s, &edit->adds[i]));
    }
    for (uint32_t i = 0; i < edit->floors.count; i++) {
        floors_raise(&s->floors, edit->floors.items[i].keyspace, edit->floors.items[i].ballot);
    }
    return status_of(ST_OK);
}

bool manifest_state_check(const struct manifest_state *s) {
    if (s->count > s->capacity) return false;
    if (!floors_check(&s->floors)) return false;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct manifest_table *t = &s->tables[i];
        if (t->level >= MANIFEST_LEVELS || t->number >= s->next_number) return false;
        if (bytes_compare(t->ikey_min, t->ikey_max) > 0) return false;
    }
    return true;
}

/* ---- a whole file ---- */

/* The record at `offset`: its payload. */
static STATUS record_at(struct bytes file, uint64_t number, uint64_t offset,
                        struct bytes *ret_payload) {
    if (file.len - offset < MANIFEST_HEADER_BYTES) return status_of(ST_CORRUPT);
    const uint8_t *record = file.ptr + offset;
    const uint32_t length = get_u32_le(record + 4);
    if (length == 0 || length > MANIFEST_EDIT_BYTES_MAX) return status_of(ST_CORRUPT);
    if (length > file.len - offset - MANIFEST_HEADER_BYTES) return status_of(ST_CORRUPT);
    const uint32_t sum = crc32c((uint32_t)number, bytes_of(record + 4, 4 + (size_t)length));
    if (sum != get_u32_le(record)) return status_of(ST_CORRUPT);
    *ret_payload = bytes_of(record + MANIFEST_HEADER_BYTES, length);
    return status_of(ST_OK);
}

/* Whether some seal starts behind `offset`. */
static bool seal_follows(struct bytes file, uint64_t number, uint64_t offset) {
    for (uint64_t at = offset + 1; at + MANIFEST_SEAL_BYTES <= file.len; at++) {
        const uint8_t *record = file.ptr + at;
        if (get_u32_le(record + 4) != MANIFEST_SEAL_BYTES - MANIFEST_HEADER_BYTES) continue;
        if (record[MANIFEST_HEADER_BYTES] != TAG_SEAL) continue;
        if (get_u64_le(record + MANIFEST_HEADER_BYTES + 1) != at) continue;
        struct bytes payload;
        if (status_ok(record_at(file, number, at, &payload))) return true;
    }
    return false;
}

static STATUS fault_at(struct manifest_fault *fault, uint64_t offset, const char *what) {
    *fault = (struct manifest_fault){ .offset = offset, .what = what };
    return status_of(ST_CORRUPT);
}

/* Apply one decoded record that stands at `offset`. */
static STATUS load_edit(const struct manifest_edit *edit, uint64_t number, uint64_t offset,
                        struct manifest_state *state, struct manifest_fault *fault) {
    if ((offset == 0) != (edit->file_number != 0))
        return fault_at(fault, offset, "misplaced header");
    if (offset == 0 && edit->file_number != number)
        return fault_at(fault, offset, "another manifest's header");
    if (edit->seal_offset != 0 && edit->seal_offset != offset)
        return fault_at(fault, offset, "misplaced seal");
    if (!status_ok(manifest_state_apply(state, edit)))
        return fault_at(fault, offset, "contradicts earlier edits");
    return status_of(ST_OK);
}

STATUS manifest_load(struct bytes file, uint64_t number, struct manifest_state *state,
                     struct manifest_fault *fault) {
    uint64_t offset = 0;
    uint64_t sealed = 0;
    *fault = (struct manifest_fault){ 0 };
    while (offset < file.len) {
        struct bytes payload;
        if (!status_ok(record_at(file, number, offset, &payload))) {
            if (offset == 0) return fault_at(fault, 0, "bad header");
            if (seal_follows(file, number, offset)) return fault_at(fault, offset, "bad checksum");
            break;
        }
        struct manifest_edit edit;
        if (!status_ok(manifest_edit_decode(payload, &edit))) {
            return fault_at(fault, offset, "unknown or malformed field");
        }
        const struct status s = load_edit(&edit, number, offset, state, fault);
        const bool is_seal = edit.seal_offset != 0;
        manifest_edit_deinit(&edit);
        TRY(s);
        offset += MANIFEST_HEADER_BYTES + payload.len;
        if (is_seal) sealed = offset;
    }
    if (offset == 0) return fault_at(fault, 0, "empty file");
    if (state->next_number == 0 || state->first_segment == 0)
        return fault_at(fault, 0, "incomplete header");
    fault->offset = offset;
    fault->sealed = sealed;
    ASSERT(manifest_state_check(state));
    return status_of(ST_OK);
}
