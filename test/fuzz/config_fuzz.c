/* Any bytes as `.env` or as a configuration file: settings or one line of error. */
#include "server/config.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct config c;
    static struct os *os;
    if (os == NULL) os = os_create();
    if (size == 0) return 0;
    config_init(&c, os);
    const struct bytes text = bytes_of(data + 1, size - 1);
    struct status s = data[0] & 1 ? config_take_file(&c, text) : config_take_dotenv(&c, text);
    if (status_ok(s)) s = config_finish(&c, os);
    ASSERT(option_set_check(&c.set));
    ASSERT(status_ok(s) == (c.set.error[0] == '\0'));
    ASSERT(strchr(c.set.error, '\n') == NULL);
    ASSERT(c.port <= 65535);
    ASSERT(c.shards >= 1 && c.shards <= SHARDS_MAX);
    return 0;
}
