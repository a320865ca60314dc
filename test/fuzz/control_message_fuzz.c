/* Any bytes as a message between control planes. What decodes has one encoding only: the bytes
 * must come back. */
#include "base/assert.h"
#include "base/mem.h"
#include "control/control_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct control_message m;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* The bytes end where the block ends, so that a read behind them is seen. */
    uint8_t *exact = mem_alloc(size);
    if (size > 0) memcpy(exact, data, size);
    const struct bytes in = bytes_of(exact, size);
    const struct status s = control_message_decode(in, &m);
    if (status_ok(s)) {
        struct buffer out;
        ASSERT(m.contact_count <= CONTROL_CONTACTS_MAX);
        ASSERT(m.report_count <= CONTROL_REPORTS_MAX);
        buffer_init(&out, CONTROL_MESSAGE_BYTES_MAX);
        control_message_encode(&m, &out);
        ASSERT(!out.overflowed);
        ASSERT(bytes_equal(buffer_bytes(&out), in));
        buffer_deinit(&out);
    } else {
        ASSERT(s.code == ST_CORRUPT);
    }
    mem_free(exact);
    return 0;
}
