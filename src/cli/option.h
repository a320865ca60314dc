/* option.h - a table of options and the values they have now.
 *
 * One table gives names, kinds, ranges and help; parsing, error texts, --help and
 * the reference in docs/ all come from it, so that they cannot disagree.
 *
 * Lifecycle  init (every option at its default) -> (put | parse)* ; nothing to free
 * Owner      one thread
 * Memory     texts live in the set, which must not be moved while they are used
 * Failure    ST_INVALID, and `error` is one line that names the option, the value
 *            and what is allowed; the option keeps the value it had
 */
#ifndef ATOLL_CLI_OPTION_H
#define ATOLL_CLI_OPTION_H

#include "base/bytes.h"
#include "base/status.h"

#define OPTIONS_MAX 48u            /* the longest table, with room */
#define OPTION_TEXT_BYTES 4096u    /* the longest: 64 addresses of members; with its NUL */
#define OPTION_ERROR_BYTES 2048u   /* one line, the value escaped and cut */
#define OPTION_ARGUMENTS_MAX 4096u /* words that are no options: keys of one `del` */

enum option_kind {
    OPTION_FLAG,    /* bool; `--name` alone means true */
    OPTION_TEXT,    /* const char *, any text without NUL */
    OPTION_ADDRESS, /* const char *, "host:port", "[v6]:port" or ":port" */
    OPTION_NUMBER,  /* uint64_t */
    OPTION_SIZE,    /* uint64_t, bytes: 64MiB, 64M or 67108864 */
    OPTION_TIME,    /* uint64_t, milliseconds: 5ms, 2s, 1m, 1h, 1h30m or 1.5s */
    OPTION_CHOICE,  /* struct option_choice */
};

/* Where a value comes from; a later one beats an earlier one. */
enum option_source {
    OPTION_DEFAULT,
    OPTION_FILE,
    OPTION_TEST_ENV, /* test.env, read where there is no .env */
    OPTION_DOTENV,
    OPTION_ENVIRONMENT,
    OPTION_ARGUMENT,
    OPTION_SOURCES,
};

struct option_choice {
    uint32_t index;   /* of the word in `choices` */
    uint32_t time_ms; /* of a choice that ends in "=TIME", else 0 */
};

struct option {
    const char *name;        /* with dashes, as in --write-wait */
    const char *also;        /* a second name, or NULL */
    enum option_kind kind;   /* what its value is */
    size_t offset;           /* of the value in the target struct */
    const char *fallback;    /* default, as text; "" = none */
    const char *fallback_is; /* what the default is when it must be computed, or NULL */
    uint64_t min, max;       /* of a number, size or time, both ends allowed; of a text its bytes,
                                max 0 = any that fit */
    bool or_zero;            /* 0 is allowed besides, and means no limit */
    const char *choices;     /* words of an OPTION_CHOICE, "none|lz4|interval=TIME" */
    const char *environment; /* further environment names, separated by spaces, or NULL */
    const char *value_name;  /* what stands for the value in help; NULL = by kind */
    const char *help;        /* one sentence, lower case, no full stop */
};

struct option_state {
    enum option_source source;    /* of the value */
    char text[OPTION_TEXT_BYTES]; /* the value in its usual spelling, NUL-terminated */
};

struct option_set {
    const struct option *options;                /* the table, outlives the set */
    uint32_t count;                              /* 1..OPTIONS_MAX */
    void *target;                                /* the struct that receives values */
    bool help;                                   /* --help was given */
    uint32_t argument_count;                     /* of `arguments` */
    const char *arguments[OPTION_ARGUMENTS_MAX]; /* words that are no options; views of argv */
    struct option_state states[OPTIONS_MAX];
    char error[OPTION_ERROR_BYTES]; /* after ST_INVALID */
};

void option_set_init(struct option_set *set, const struct option *options, uint32_t count,
                     void *target);
bool option_set_check(const struct option_set *set);

/* The option of this name (either name), or -1. */
int32_t option_find(const struct option_set *set, struct bytes name);
/* The state of a name that is in the table. */
const struct option_state *option_state_of(const struct option_set *set, const char *name);

/* Give option `index` the value `text`, unless its present value comes from a stronger
 * source; the value is judged either way. `called` is how the user wrote the name.
 * Errors  ST_INVALID */
STATUS option_put(struct option_set *set, uint32_t index, enum option_source source,
                  const char *called, struct bytes text);

/* Take the words of a command line (without the program's and the command's name):
 * `-x v`, `--x v`, `-x=v`, `--x=v`; "--" ends the options.
 * Errors  ST_INVALID */
STATUS option_parse(struct option_set *set, int argc, char **argv);

/* "flag", "environment", ".env", "test.env", "file" or "default". */
const char *option_source_name(enum option_source source);
/* What is allowed as a value, for errors and help. Returns `text`. */
const char *option_allowed(const struct option *o, char *text, size_t text_bytes);
/* What stands for the value in help; "" for a flag. */
const char *option_value_name(const struct option *o);
/* The environment name ATOLL_<NAME>. Returns `text`. */
const char *option_environment_name(const struct option *o, char *text, size_t text_bytes);
/* Print the table, a line or two per option, for --help. */
void option_print_help(const struct option_set *set);

/* Say in `error` what is wrong with option `index` as a whole. Returns ST_INVALID. */
STATUS option_refuse(struct option_set *set, const char *name, const char *why);

/* The word of `words` (count of them) that `given` was likely meant to be, or NULL. */
const char *option_nearest(struct bytes given, const char *const *words, uint32_t count);

/* Values as text, one unit each. Errors ST_INVALID */
STATUS option_decode_size(struct bytes text, uint64_t *ret_bytes);
STATUS option_decode_time(struct bytes text, uint64_t *ret_ms);
/* In the largest unit that is exact. Return `text`. */
const char *option_encode_size(uint64_t bytes, char *text, size_t text_bytes);
const char *option_encode_time(uint64_t ms, char *text, size_t text_bytes);

#endif
