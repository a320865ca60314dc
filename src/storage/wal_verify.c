#include "storage/wal_reader.h"

#include <stdio.h>

/* Where findings go. */
struct findings {
    void (*report)(void *user, const char *line);
    void *user;
    uint64_t count;
};

static void findings_add(struct findings *f, const char *line) {
    f->report(f->user, line);
    f->count++;
}

/* Read the row from index `start` on. After a finding the next segment is read as
 * if a row started there. */
static STATUS verify_row(struct wal_reader *r, const struct wal_folder *folder, uint32_t start,
                         struct findings *findings) {
    for (uint32_t i = start; i < folder->segment_count; i++) {
        struct wal_header header;
        const struct status s = wal_reader_segment(r, folder->segments[i], &header);
        if (status_ok(s)) continue;
        if (s.code != ST_CORRUPT) return s;
        findings_add(findings, r->finding);
        wal_reader_restart(r);
    }
    return status_of(ST_OK);
}

static uint32_t start_of(const struct wal_folder *folder, uint64_t first) {
    uint32_t i = 0;
    while (i < folder->segment_count && folder->segments[i] < first) i++;
    return i;
}

STATUS wal_verify(struct os *os, const char *dir, uint64_t first_segment,
                  void (*report)(void *user, const char *line), void *user, uint64_t *ret_records,
                  uint64_t *ret_bad) {
    const uint64_t first = first_segment == 0 ? 1 : first_segment;
    struct findings findings = { .report = report, .user = user };
    struct wal_folder folder;
    TRY(wal_folder_list(os, dir, &folder));

    uint32_t start;
    uint64_t missing;
    if (!status_ok(wal_folder_row(&folder, first, &start, &missing))) {
        char line[WAL_FINDING_BYTES];
        const struct wal_path path = wal_segment_path(dir, missing);
        snprintf(line, sizeof line, "%s: offset 0: the file is missing", path.text);
        findings_add(&findings, line);
        start = start_of(&folder, first);
    }
    struct wal_reader reader;
    wal_reader_init(&reader, os, dir, NULL, NULL);
    const struct status s = verify_row(&reader, &folder, start, &findings);
    wal_reader_deinit(&reader);
    wal_folder_deinit(&folder);
    if (!status_ok(s)) return s;
    *ret_records = reader.records;
    *ret_bad = findings.count;
    return s;
}
