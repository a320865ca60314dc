/* A manifest file of any bytes is summed up or refused; what was accepted is encoded and read back the same.
 * The first byte chooses the manifest's number. With the top bit set the rest is one edit whose
 * checksum is made right, so that the fields are reached too. */
#include "storage/manifest.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load(struct bytes file, uint64_t number) {
    struct manifest_state state = { 0 };
    struct manifest_fault fault = { 0 };
    const struct status s = manifest_load(file, number, &state, &fault);
    ASSERT(status_ok(s) == (fault.what == NULL));
    ASSERT(fault.offset <= file.len);
    if (status_ok(s)) ASSERT(manifest_state_check(&state));
    manifest_state_deinit(&state);
}

static void load_edit(struct bytes payload, uint64_t number) {
    struct manifest_edit edit;
    struct manifest_edit again;
    struct buffer out;
    if (!status_ok(manifest_edit_decode(payload, &edit))) return;
    buffer_init(&out, MANIFEST_EDIT_BYTES_MAX);
    manifest_edit_encode(&edit, number, &out);
    const struct bytes record = buffer_bytes(&out);
    ASSERT(status_ok(manifest_edit_decode(
        bytes_of(record.ptr + MANIFEST_HEADER_BYTES, record.len - MANIFEST_HEADER_BYTES), &again)));
    ASSERT(again.add_count == edit.add_count);
    ASSERT(again.delete_count == edit.delete_count);
    ASSERT(again.floors.count == edit.floors.count);
    manifest_edit_deinit(&again);
    manifest_edit_deinit(&edit);
    load(record, number);
    buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const uint64_t number = 1 + (data[0] & 0x7f);
    /* Exactly as long as the input, so that a read past the end is seen. */
    uint8_t *copy = mem_alloc(size > 1 ? size - 1 : 1);
    memcpy(copy, data + 1, size - 1);
    const struct bytes in = bytes_of(copy, size - 1);
    if ((data[0] & 0x80) != 0) {
        load_edit(in, number);
    } else {
        load(in, number);
    }
    mem_free(copy);
    return 0;
}
