#include "cli/top_screen.h"

#include "base/assert.h"
#include "base/log.h"
#include "cli/change.h"
#include "cli/figure.h"
#include "cli/json_field.h"
#include "cli/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define NODES_MAX 64u
#define TEXT_BYTES TABLE_CELL_BYTES
#define LINE_BYTES 512u
#define SCREEN_BYTES_MAX (256u * 1024)
#define NODES_ROWS_MIN 3u /* shown of the nodes however small the screen is */
#define ROWS_BELOW 13u    /* of operations 7, of the rest 4, and an empty line before each */
#define LEVELS 7u
#define BAR_COLUMNS_MAX 160u
#define PLAIN ""
#define BOLD "\033[1m"
#define RED "\033[31m"
#define YELLOW "\033[33m"

struct screen {
    const struct top_size *size;
    struct buffer *out;
    uint32_t rows; /* lines so far */
};

/* ---- members of JSON ---- */

static uint64_t number_of(const json_t *object, const char *name) {
    uint64_t number = FIGURE_UNKNOWN;
    return json_field_number(object, name, &number) ? number : FIGURE_UNKNOWN;
}

static double real_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : -1;
}

static void copy_text(const json_t *object, const char *name, char text[TEXT_BYTES]) {
    if (!json_field_text(object, name, text, TEXT_BYTES)) (void)snprintf(text, TEXT_BYTES, "-");
}

/* How much `name` grew in a second between two answers, which say when they were made. */
static double rate_of(const json_t *now, const json_t *before, const char *name) {
    uint64_t value = 0, value_before = 0, ms = 0, ms_before = 0;
    if (!json_field_number(now, name, &value) || !json_field_number(before, name, &value_before))
        return -1;
    if (!json_field_number(now, "now_ms", &ms) || !json_field_number(before, "now_ms", &ms_before))
        return -1;
    if (ms <= ms_before || value < value_before) return -1; /* started anew meanwhile */
    return (double)(value - value_before) * 1000 / (double)(ms - ms_before);
}

/* ---- figures as text ---- */

static const char *print_count(uint64_t count, char text[FIGURE_BYTES]) {
    if (count == FIGURE_UNKNOWN)
        (void)snprintf(text, FIGURE_BYTES, "-");
    else
        (void)snprintf(text, FIGURE_BYTES, "%" PRIu64, count);
    return text;
}

static const char *print_size(uint64_t bytes, char text[FIGURE_BYTES]) {
    if (bytes == FIGURE_UNKNOWN) return print_count(bytes, text);
    return figure_print_size(bytes, text);
}

static const char *print_real(double number, char text[FIGURE_BYTES]) {
    if (number < 0 || number > 1e15)
        (void)snprintf(text, FIGURE_BYTES, "-");
    else
        (void)snprintf(text, FIGURE_BYTES, "%.0f", number);
    return text;
}

static const char *print_speed(double bytes, char text[FIGURE_BYTES]) {
    if (bytes < 0 || bytes > 1e18) return print_real(-1, text);
    return figure_print_rate((uint64_t)bytes, text);
}

static const char *print_us(double us, char text[FIGURE_BYTES]) {
    if (us <= 0 || us > 1e12)
        (void)snprintf(text, FIGURE_BYTES, "-");
    else if (us < 1000)
        (void)snprintf(text, FIGURE_BYTES, "%.0f us", us);
    else if (us < 1e6)
        (void)snprintf(text, FIGURE_BYTES, "%.1f ms", us / 1000);
    else
        (void)snprintf(text, FIGURE_BYTES, "%.1f s", us / 1e6);
    return text;
}

/* ---- lines ---- */

static bool is_full(const struct screen *s) {
    return s->size->rows > 0 && s->rows >= s->size->rows;
}

/* What stood there is cleared first: behind a text as wide as the terminal, its last column would
 * go too. */
static void begin_line(struct screen *s) {
    if (s->rows++ > 0) buffer_append_u8(s->out, '\n');
    if (s->size->screen) buffer_append_string(s->out, "\033[K");
}

/* The sequences take no columns, so the text is cut before they are added. */
static void put_line(struct screen *s, const char *style, struct bytes text) {
    if (is_full(s)) return;
    const bool styled = s->size->colour && style[0] != '\0';
    if (text.len > s->size->columns) text.len = s->size->columns;
    begin_line(s);
    if (styled) buffer_append_string(s->out, style);
    if (text.len > 0) buffer_append(s->out, text);
    if (styled) buffer_append_string(s->out, "\033[0m");
}

__attribute__((format(printf, 3, 4))) static void print_line(struct screen *s, const char *style,
                                                             const char *format, ...) {
    char text[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    const int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ASSERT(len >= 0);
    put_line(s, style, bytes_of(text, strlen(text)));
}

/* ---- the parts ---- */

/* What the cluster has agreed on counts for more than that a node answers. */
static void copy_state(const json_t *node, char text[TEXT_BYTES], bool *ret_up) {
    char membership[TEXT_BYTES];
    copy_text(node, "state", text);
    copy_text(node, "membership", membership);
    *ret_up = strcmp(text, "up") == 0 || strcmp(text, "ready") == 0;
    const bool agreed = strcmp(membership, "-") != 0 && strcmp(membership, "active") != 0;
    if (strcmp(membership, "dead") == 0) *ret_up = false;
    if (agreed && (*ret_up || strcmp(membership, "dead") == 0))
        memcpy(text, membership, TEXT_BYTES);
}

static uint32_t count_up(const json_t *nodes) {
    uint32_t up = 0;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        char state[TEXT_BYTES];
        bool is_up = false;
        copy_state(json_array_get(nodes, i), state, &is_up);
        up += is_up;
    }
    return up;
}

static void put_head(struct screen *s, const struct top_figures *f) {
    const json_t *nodes = json_object_get(f->cluster, "nodes");
    char server[TEXT_BYTES], leader[TEXT_BYTES], n[4][FIGURE_BYTES];
    const size_t count = json_array_size(nodes);
    const uint32_t up = count_up(nodes);
    log_escape(bytes_of_string(f->server), server, sizeof server);
    copy_text(f->cluster, "leader_address", leader);
    print_line(s, up < count ? RED : BOLD, "atoll top  %s  %zu %s, %" PRIu32 " up", server, count,
               count == 1 ? "node" : "nodes", up);
    print_line(s, PLAIN, "leader %s, epoch %s; replicas %s, write quorum %s, read quorum %s",
               leader, print_count(number_of(f->cluster, "epoch"), n[0]),
               print_count(number_of(f->cluster, "replicas"), n[1]),
               print_count(number_of(f->cluster, "write_quorum"), n[2]),
               print_count(number_of(f->cluster, "read_quorum"), n[3]));
    if (f->notice != NULL) print_line(s, YELLOW, "%s", f->notice);
}

static const json_t *find_node(const json_t *answer, uint64_t id) {
    const json_t *nodes = json_object_get(answer, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        if (number_of(node, "id") == id) return node;
    }
    return NULL;
}

/* Of all classes together. */
static double operations_rate(const json_t *now, const json_t *before) {
    double sum = 0;
    const char *name;
    json_t *value;
    json_t *classes = json_object_get(now, "operations");
    const json_t *classes_before = json_object_get(before, "operations");
    uint64_t ms = 0, ms_before = 0;
    if (!json_field_number(now, "now_ms", &ms) || !json_field_number(before, "now_ms", &ms_before))
        return -1;
    if (ms <= ms_before || !json_is_object(classes)) return -1;
    json_object_foreach(classes, name, value) {
        const uint64_t count = number_of(classes, name), earlier = number_of(classes_before, name);
        if (count == FIGURE_UNKNOWN || earlier == FIGURE_UNKNOWN || count < earlier) return -1;
        sum += (double)(count - earlier);
    }
    return sum * 1000 / (double)(ms - ms_before);
}

static const char *print_uptime(const json_t *own, char text[FIGURE_BYTES]) {
    uint64_t now_ms = 0, started_ms = 0;
    if (!json_field_number(own, "now_ms", &now_ms) ||
        !json_field_number(own, "started_ms", &started_ms) || now_ms < started_ms)
        return print_real(-1, text);
    return figure_print_time(now_ms - started_ms, text);
}

/* A row of the table; returns how it is to be shown. */
static const char *add_node(struct table *t, const struct top_figures *f, const json_t *node) {
    char text[TEXT_BYTES], figure[FIGURE_BYTES];
    bool up = false;
    const uint64_t id = number_of(node, "id");
    const json_t *own = find_node(f->nodes, id);
    const json_t *own_before = find_node(f->nodes_before, id);
    copy_text(node, "address", text);
    table_add(t, text);
    copy_state(node, text, &up);
    table_add(t, text);
    const bool leads = id != FIGURE_UNKNOWN && number_of(f->cluster, "leader") == id;
    table_add(t, leads ? "leader" : "");
    table_add(t, print_uptime(own, figure));
    table_add(t, print_real(operations_rate(own, own_before), figure));
    table_add(t, print_size(number_of(own, "resident_bytes"), figure));
    table_add(t, print_size(number_of(own, "disk_bytes"), figure));
    table_add(t, print_size(number_of(own, "disk_free_bytes"), figure));
    table_add(t, print_count(number_of(node, "hints_waiting"), figure));
    table_add(t, print_us(real_of(node, "latency_us"), figure));
    if (!up) return RED;
    return strcmp(text, "up") == 0 || strcmp(text, "ready") == 0 ? PLAIN : YELLOW;
}

/* A table's lines, each in its style; the first is the header. */
static void put_table(struct screen *s, const struct table *t, const char *const *styles,
                      uint32_t rows_max) {
    struct buffer text;
    buffer_init(&text, SCREEN_BYTES_MAX);
    table_encode(t, false, &text);
    struct bytes rest = buffer_bytes(&text);
    for (uint32_t i = 0; rest.len > 0 && i <= rows_max; i++) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        ASSERT(end != NULL);
        const size_t len = (size_t)(end - rest.ptr);
        put_line(s,
                 i == 0           ? BOLD
                 : styles == NULL ? PLAIN
                                  : styles[i - 1],
                 bytes_of(rest.ptr, len));
        rest = bytes_of(end + 1, rest.len - len - 1);
    }
    buffer_deinit(&text);
}

static void put_nodes(struct screen *s, const struct top_figures *f, uint32_t rows_below) {
    static const char *const names[] = { "NODE",   "STATE", "LEADS", "UP",    "OPS/S",
                                         "MEMORY", "DISK",  "FREE",  "HINTS", "LATENCY" };
    const char *styles[NODES_MAX] = { PLAIN };
    struct table t;
    const json_t *nodes = json_object_get(f->cluster, "nodes");
    const uint32_t count = (uint32_t)json_array_size(nodes);
    ASSERT(count <= NODES_MAX);
    uint32_t shown = count;
    if (s->size->rows > 0) {
        const uint32_t taken = s->rows + 2 + rows_below; /* an empty line and the header */
        const uint32_t room = s->size->rows > taken ? s->size->rows - taken : 0;
        if (shown > room) shown = room > NODES_ROWS_MIN ? room - 1 : NODES_ROWS_MIN;
        if (shown > count) shown = count;
    }
    table_init(&t, names, sizeof names / sizeof *names, 3);
    for (uint32_t i = 0; i < count; i++) styles[i] = add_node(&t, f, json_array_get(nodes, i));
    put_line(s, PLAIN, BYTES_NONE);
    put_table(s, &t, styles, shown);
    table_deinit(&t);
    if (shown < count) print_line(s, PLAIN, "and %" PRIu32 " more", count - shown);
}

static void put_operations(struct screen *s, const struct top_figures *f) {
    static const char *const names[] = { "OPERATION", "PER SECOND", "P50", "P99" };
    static const char *const classes[] = { "read", "write", "delete", "scan", "batch" };
    char figure[FIGURE_BYTES];
    struct table t;
    double sum = f->moment == NULL ? -1 : 0;
    table_init(&t, names, sizeof names / sizeof *names, 1);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        const json_t *one = json_object_get(f->moment, classes[i]);
        const double rate = real_of(one, "per_second");
        if (rate > 0) sum += rate;
        table_add(&t, classes[i]);
        table_add(&t, print_real(rate, figure));
        table_add(&t, print_us(real_of(one, "p50_us"), figure));
        table_add(&t, print_us(real_of(one, "p99_us"), figure));
    }
    table_add(&t, "all");
    table_add(&t, print_real(sum, figure));
    table_add(&t, print_us(real_of(f->moment, "p50_us"), figure));
    table_add(&t, print_us(real_of(f->moment, "p99_us"), figure));
    put_line(s, PLAIN, BYTES_NONE);
    put_table(s, &t, NULL, UINT32_MAX);
    table_deinit(&t);
}

/* Bytes of all levels, and the highest number of the level that has some. */
static uint64_t levels_of(const json_t *metrics) {
    const json_t *levels = json_object_get(metrics, "level_bytes");
    uint64_t sum = 0;
    if (!json_is_array(levels)) return FIGURE_UNKNOWN;
    for (size_t i = 0; i < json_array_size(levels) && i < LEVELS; i++) {
        const json_t *bytes = json_array_get(levels, i);
        if (json_is_integer(bytes) && json_integer_value(bytes) > 0)
            sum += (uint64_t)json_integer_value(bytes);
    }
    return sum;
}

static void put_store(struct screen *s, const struct top_figures *f) {
    const json_t *m = f->metrics, *b = f->metrics_before;
    char t[5][FIGURE_BYTES];
    const uint64_t pressure = number_of(m, "pressure_permille");
    const bool disk_full = json_is_true(json_object_get(m, "disk_full"));
    print_line(s, pressure != FIGURE_UNKNOWN && pressure > 0 ? YELLOW : PLAIN,
               "compaction  reads %s, writes %s; flushes %s; tables %s; pressure %.0f %%",
               print_speed(rate_of(m, b, "compaction_bytes_read"), t[0]),
               print_speed(rate_of(m, b, "compaction_bytes_written"), t[1]),
               print_speed(rate_of(m, b, "flush_bytes"), t[2]), print_size(levels_of(m), t[3]),
               pressure == FIGURE_UNKNOWN ? 0.0 : (double)pressure / 10);
    const uint64_t hits = number_of(m, "cache_hits"), misses = number_of(m, "cache_misses");
    const bool used = hits != FIGURE_UNKNOWN && misses != FIGURE_UNKNOWN && hits + misses > 0;
    print_line(s, PLAIN, "cache       %.1f %% found, %s of %s; read from disk %s/s",
               used ? (double)hits * 100 / (double)(hits + misses) : 0.0,
               print_size(number_of(m, "cache_bytes"), t[0]),
               print_size(number_of(m, "cache_bytes_max"), t[1]),
               print_real(rate_of(m, b, "cache_misses"), t[2]));
    if (disk_full) print_line(s, RED, "disk full   writes are refused until there is space");
}

/* What only the asked node says of itself. */
static void put_care(struct screen *s, const struct top_figures *f) {
    const json_t *m = f->metrics, *b = f->metrics_before;
    char t[4][FIGURE_BYTES];
    const uint64_t waiting = number_of(m, "hints_waiting");
    put_line(s, PLAIN, BYTES_NONE);
    print_line(s, waiting != FIGURE_UNKNOWN && waiting > 0 ? YELLOW : PLAIN,
               "hints       %s waiting, %s; replayed %s/s, dropped %s", print_count(waiting, t[0]),
               print_size(number_of(m, "hints_bytes"), t[1]),
               print_real(rate_of(m, b, "hints_replayed"), t[2]),
               print_count(number_of(m, "hints_dropped"), t[3]));
    print_line(s, PLAIN, "repair      %s ranges/s, %s records mended, %s by reads; %s passes clean",
               print_real(rate_of(m, b, "repair_ranges"), t[0]),
               print_count(number_of(m, "repair_records"), t[1]),
               print_count(number_of(m, "read_repairs"), t[2]),
               print_count(number_of(m, "repair_passes_clean"), t[3]));
    put_store(s, f);
}

static void put_change(struct screen *s, const struct change *c) {
    struct buffer bar;
    if (c->id == 0 || is_full(s)) return;
    print_line(s, BOLD, "change %" PRIu64 " (%s)", c->id, c->reason);
    if (is_full(s)) return;
    buffer_init(&bar, 4096);
    const uint32_t columns =
        s->size->columns < BAR_COLUMNS_MAX ? s->size->columns : BAR_COLUMNS_MAX;
    change_append_bar(c, columns, s->size->colour, &bar);
    begin_line(s);
    buffer_append(s->out, buffer_bytes(&bar));
    buffer_deinit(&bar);
}

STATUS top_screen_encode(const struct top_figures *f, const struct top_size *size,
                         struct buffer *out) {
    ASSERT(size->columns > 0);
    ASSERT(f->server != NULL);
    const json_t *nodes = json_object_get(f->cluster, "nodes");
    struct change change;
    if (json_array_size(nodes) == 0 || json_array_size(nodes) > NODES_MAX)
        return status_of(ST_CORRUPT);
    TRY(change_decode(json_object_get(f->cluster, "change"), &change));
    struct screen s = { .size = size, .out = out };
    put_head(&s, f);
    put_change(&s, &change);
    put_nodes(&s, f, ROWS_BELOW);
    put_operations(&s, f);
    put_care(&s, f);
    return status_of(ST_OK);
}
