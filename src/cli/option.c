#include "cli/option.h"

#include "base/assert.h"
#include "base/log.h"

#include <stdio.h>

#define VALUE_SHOWN_BYTES 128u /* of a refused value in an error */
#define HELP_COLUMN 36         /* where the help text begins */
#define PORT_MAX 65535u

static const char *const source_names[OPTION_SOURCES] = {
    [OPTION_DEFAULT] = "default", [OPTION_FILE] = "file",
    [OPTION_DOTENV] = ".env",     [OPTION_ENVIRONMENT] = "environment",
    [OPTION_ARGUMENT] = "flag",   [OPTION_TEST_ENV] = "test.env",
};

const char *option_source_name(enum option_source source) {
    ASSERT(source < OPTION_SOURCES);
    return source_names[source];
}

bool option_set_check(const struct option_set *set) {
    if (set->options == NULL || set->target == NULL) return false;
    if (set->count == 0 || set->count > OPTIONS_MAX) return false;
    return set->argument_count <= OPTION_ARGUMENTS_MAX;
}

static void *value_at(const struct option_set *set, const struct option *o) {
    return (char *)set->target + o->offset;
}

static void put_text(struct option_state *state, struct bytes text) {
    ASSERT(text.len < sizeof state->text);
    if (text.len > 0) memcpy(state->text, text.ptr, text.len);
    state->text[text.len] = '\0';
}

/* The value an option would get; which member counts is said by its kind. */
struct value {
    bool flag;
    uint64_t number;
    struct option_choice choice;
    char text[OPTION_TEXT_BYTES]; /* its usual spelling */
};

static STATUS decode_flag(struct bytes text, struct value *ret_value) {
    static const char *const yes[] = { "true", "yes", "on", "1" };
    static const char *const no[] = { "false", "no", "off", "0" };
    for (size_t i = 0; i < 4; i++) {
        const bool is_yes = bytes_equal_nocase(text, yes[i]);
        if (!is_yes && !bytes_equal_nocase(text, no[i])) continue;
        ret_value->flag = is_yes;
        snprintf(ret_value->text, sizeof ret_value->text, "%s", is_yes ? "true" : "false");
        return status_of(ST_OK);
    }
    return status_of(ST_INVALID);
}

static STATUS decode_number(const struct option *o, struct bytes text, struct value *ret_value) {
    uint64_t number = 0;
    char *spelling = ret_value->text;
    if (o->kind == OPTION_SIZE) {
        TRY(option_decode_size(text, &number));
        option_encode_size(number, spelling, OPTION_TEXT_BYTES);
    } else if (o->kind == OPTION_TIME) {
        TRY(option_decode_time(text, &number));
        option_encode_time(number, spelling, OPTION_TEXT_BYTES);
    } else {
        TRY(bytes_to_u64(text, &number));
        snprintf(spelling, OPTION_TEXT_BYTES, "%llu", (unsigned long long)number);
    }
    const bool in_range = number >= o->min && number <= o->max;
    if (!in_range && !(o->or_zero && number == 0)) return status_of(ST_INVALID);
    ret_value->number = number;
    return status_of(ST_OK);
}

/* The word at the start of `choices`, without the '|' behind it. */
static struct bytes first_choice(const char *choices) {
    return bytes_of(choices, strcspn(choices, "|"));
}

static STATUS decode_choice(const struct option *o, struct bytes text, struct value *ret_value) {
    uint32_t index = 0;
    for (const char *at = o->choices;; index++) {
        struct bytes word = first_choice(at);
        const char *equals = memchr(word.ptr, '=', word.len);
        if (equals != NULL) {
            word.len = (size_t)(equals + 1 - at);
            uint64_t ms = 0;
            if (bytes_start_with(text, word) &&
                status_ok(
                    option_decode_time(bytes_of(text.ptr + word.len, text.len - word.len), &ms)) &&
                ms >= o->min && ms <= o->max) {
                char time[32];
                ret_value->choice = (struct option_choice){ index, (uint32_t)ms };
                snprintf(ret_value->text, sizeof ret_value->text, "%.*s%s", (int)word.len, at,
                         option_encode_time(ms, time, sizeof time));
                return status_of(ST_OK);
            }
        } else if (bytes_equal(text, word)) {
            ret_value->choice = (struct option_choice){ index, 0 };
            snprintf(ret_value->text, sizeof ret_value->text, "%.*s", (int)word.len, at);
            return status_of(ST_OK);
        }
        at += strcspn(at, "|");
        if (*at++ == '\0') return status_of(ST_INVALID);
    }
}

/* The shape only; whether the host exists is found when it is used. */
static STATUS check_address(struct bytes text) {
    size_t digits = 0;
    while (digits < text.len && text.ptr[text.len - 1 - digits] != ':') digits++;
    if (digits == text.len) return status_of(ST_INVALID);
    const struct bytes host = bytes_of(text.ptr, text.len - 1 - digits);
    uint64_t port = 0;
    TRY(bytes_to_u64(bytes_of(text.ptr + text.len - digits, digits), &port));
    if (port > PORT_MAX) return status_of(ST_INVALID);
    const bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    const bool has_colon = host.len > 0 && memchr(host.ptr, ':', host.len) != NULL;
    return status_of(has_colon == bracketed ? ST_OK : ST_INVALID);
}

static STATUS decode_value(const struct option *o, struct bytes text, struct value *ret_value) {
    if (text.len >= OPTION_TEXT_BYTES) return status_of(ST_INVALID);
    if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL) return status_of(ST_INVALID);
    switch (o->kind) {
    case OPTION_FLAG: return decode_flag(text, ret_value);
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_TIME: return decode_number(o, text, ret_value);
    case OPTION_CHOICE: return decode_choice(o, text, ret_value);
    case OPTION_ADDRESS: TRY(check_address(text)); break;
    case OPTION_TEXT:
        if (text.len < o->min) return status_of(ST_INVALID);
        if (o->max != 0 && text.len > o->max) return status_of(ST_INVALID);
        break;
    }
    if (text.len > 0) memcpy(ret_value->text, text.ptr, text.len);
    ret_value->text[text.len] = '\0';
    return status_of(ST_OK);
}

static void store_value(struct option_set *set, uint32_t index, const struct value *v) {
    const struct option *o = &set->options[index];
    struct option_state *state = &set->states[index];
    put_text(state, bytes_of_string(v->text));
    switch (o->kind) {
    case OPTION_FLAG: *(bool *)value_at(set, o) = v->flag; break;
    case OPTION_TEXT:
    case OPTION_ADDRESS: *(const char **)value_at(set, o) = state->text; break;
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_TIME: *(uint64_t *)value_at(set, o) = v->number; break;
    case OPTION_CHOICE: *(struct option_choice *)value_at(set, o) = v->choice; break;
    }
}

void option_set_init(struct option_set *set, const struct option *options, uint32_t count,
                     void *target) {
    ASSERT(count > 0);
    ASSERT(count <= OPTIONS_MAX);
    memset(set, 0, sizeof *set);
    set->options = options;
    set->count = count;
    set->target = target;
    for (uint32_t i = 0; i < count; i++) {
        struct value v = { 0 };
        const struct option *o = &options[i];
        const struct bytes text = bytes_of_string(o->kind == OPTION_FLAG ? "false" : o->fallback);
        /* An address or a text may have no default; any other must keep its own rules. */
        const bool none = text.len == 0 && (o->kind == OPTION_TEXT || o->kind == OPTION_ADDRESS);
        const struct status s = none ? status_of(ST_OK) : decode_value(o, text, &v);
        ASSERT(status_ok(s));
        store_value(set, i, &v);
    }
    ASSERT(option_set_check(set));
}

int32_t option_find(const struct option_set *set, struct bytes name) {
    for (uint32_t i = 0; i < set->count; i++) {
        const struct option *o = &set->options[i];
        if (bytes_equal(name, bytes_of_string(o->name))) return (int32_t)i;
        if (o->also != NULL && bytes_equal(name, bytes_of_string(o->also))) return (int32_t)i;
    }
    return -1;
}

const struct option_state *option_state_of(const struct option_set *set, const char *name) {
    const int32_t index = option_find(set, bytes_of_string(name));
    ASSERT(index >= 0);
    return &set->states[index];
}

/* ---- errors ---- */

static size_t append_text(char *text, size_t text_bytes, size_t at, const char *more) {
    ASSERT(at < text_bytes);
    const int len = snprintf(text + at, text_bytes - at, "%s", more);
    ASSERT(len >= 0);
    return at + (size_t)len < text_bytes ? at + (size_t)len : text_bytes - 1;
}

static const char *allowed_range(const struct option *o, char *text, size_t text_bytes) {
    char low[32], high[32];
    const char *zero = o->or_zero ? "0 or " : "";
    const char *such = "";
    if (o->kind == OPTION_SIZE) {
        option_encode_size(o->min, low, sizeof low);
        option_encode_size(o->max, high, sizeof high);
        such = " (as 64MiB, 64M or 67108864)";
    } else if (o->kind == OPTION_TIME) {
        option_encode_time(o->min, low, sizeof low);
        option_encode_time(o->max, high, sizeof high);
        such = " (as 5ms, 2s or 1m)";
    } else {
        snprintf(low, sizeof low, "%llu", (unsigned long long)o->min);
        snprintf(high, sizeof high, "%llu", (unsigned long long)o->max);
    }
    if (o->max == UINT64_MAX)
        snprintf(text, text_bytes, "%s%s or more%s", zero, low, such);
    else
        snprintf(text, text_bytes, "%s%s to %s%s", zero, low, high, such);
    return text;
}

static void allowed_text(const struct option *o, char *text, size_t text_bytes) {
    snprintf(text, text_bytes, "text%s", o->min > 0 ? ", not empty" : "");
    if (o->max == 0) return;
    const size_t len = strlen(text);
    snprintf(text + len, text_bytes - len, ", at most %llu bytes", (unsigned long long)o->max);
}

const char *option_allowed(const struct option *o, char *text, size_t text_bytes) {
    ASSERT(text_bytes > 0);
    size_t at = 0;
    text[0] = '\0';
    switch (o->kind) {
    case OPTION_FLAG: return append_text(text, text_bytes, 0, "true or false"), text;
    case OPTION_TEXT: return allowed_text(o, text, text_bytes), text;
    case OPTION_ADDRESS:
        return append_text(text, text_bytes, 0, "HOST:PORT, [IPV6]:PORT or :PORT"), text;
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_TIME: return allowed_range(o, text, text_bytes);
    case OPTION_CHOICE: break;
    }
    for (const char *word = o->choices; *word != '\0'; word += strcspn(word, "|")) {
        if (*word == '|') word++;
        char one[64];
        snprintf(one, sizeof one, "%s%.*s", at > 0 ? ", " : "", (int)strcspn(word, "|"), word);
        at = append_text(text, text_bytes, at, one);
    }
    return text;
}

static STATUS refuse_value(struct option_set *set, const struct option *o,
                           enum option_source source, const char *called, struct bytes text) {
    char shown[VALUE_SHOWN_BYTES], allowed[256];
    log_escape(text, shown, sizeof shown);
    option_allowed(o, allowed, sizeof allowed);
    if (source == OPTION_ARGUMENT)
        snprintf(set->error, sizeof set->error, "--%s=%s is not allowed; allowed: %s", called,
                 shown, allowed);
    else
        snprintf(set->error, sizeof set->error, "%s=%s (%s) is not allowed; allowed: %s", called,
                 shown, option_source_name(source), allowed);
    return status_of(ST_INVALID);
}

STATUS option_refuse(struct option_set *set, const char *name, const char *why) {
    const struct option_state *state = option_state_of(set, name);
    char shown[VALUE_SHOWN_BYTES];
    log_escape(bytes_of_string(state->text), shown, sizeof shown);
    if (state->source == OPTION_ARGUMENT)
        snprintf(set->error, sizeof set->error, "--%s=%s: %s", name, shown, why);
    else
        snprintf(set->error, sizeof set->error, "%s=%s (%s): %s", name, shown,
                 option_source_name(state->source), why);
    return status_of(ST_INVALID);
}

static STATUS refuse_name(struct option_set *set, struct bytes name) {
    const char *names[OPTIONS_MAX];
    for (uint32_t i = 0; i < set->count; i++) names[i] = set->options[i].name;
    const char *nearest = option_nearest(name, names, set->count);
    char shown[VALUE_SHOWN_BYTES];
    log_escape(name, shown, sizeof shown);
    if (nearest != NULL)
        snprintf(set->error, sizeof set->error, "unknown option --%s; did you mean --%s?", shown,
                 nearest);
    else
        snprintf(set->error, sizeof set->error, "unknown option --%s; --help lists them", shown);
    return status_of(ST_INVALID);
}

/* ---- values ---- */

STATUS option_put(struct option_set *set, uint32_t index, enum option_source source,
                  const char *called, struct bytes text) {
    ASSERT(option_set_check(set));
    ASSERT(index < set->count);
    ASSERT(source < OPTION_SOURCES);
    const struct option *o = &set->options[index];
    struct value v = { 0 };
    if (!status_ok(decode_value(o, text, &v))) return refuse_value(set, o, source, called, text);
    if (source < set->states[index].source) return status_of(ST_OK);
    store_value(set, index, &v);
    set->states[index].source = source;
    return status_of(ST_OK);
}

/* One word that begins with a dash; may take the next one as its value. */
static STATUS parse_option(struct option_set *set, char **words, int count, int *ret_used) {
    ASSERT(count > 0);
    const char *word = words[0] + (words[0][1] == '-' ? 2 : 1);
    const size_t name_len = strcspn(word, "=");
    const struct bytes name = bytes_of(word, name_len);
    *ret_used = 1;
    if (bytes_equal(name, BYTES_LIT("help")) || bytes_equal(name, BYTES_LIT("h"))) {
        set->help = true;
        return status_of(ST_OK);
    }
    const int32_t index = option_find(set, name);
    if (index < 0) return refuse_name(set, name);
    const struct option *o = &set->options[index];
    const char *value = word + name_len + 1;
    if (word[name_len] != '=') {
        value = o->kind == OPTION_FLAG ? "true" : count > 1 ? words[1] : NULL;
        if (o->kind != OPTION_FLAG) *ret_used = 2;
    }
    if (value == NULL) {
        char allowed[256];
        snprintf(set->error, sizeof set->error, "--%s needs a value; allowed: %s", o->name,
                 option_allowed(o, allowed, sizeof allowed));
        return status_of(ST_INVALID);
    }
    return option_put(set, (uint32_t)index, OPTION_ARGUMENT, o->name, bytes_of_string(value));
}

STATUS option_parse(struct option_set *set, int argc, char **argv) {
    ASSERT(option_set_check(set));
    bool options_ended = false;
    for (int i = 0; i < argc;) {
        if (!options_ended && strcmp(argv[i], "--") == 0) {
            options_ended = true;
            i++;
        } else if (!options_ended && argv[i][0] == '-' && argv[i][1] != '\0') {
            int used = 0;
            TRY(parse_option(set, argv + i, argc - i, &used));
            i += used;
        } else if (set->argument_count == OPTION_ARGUMENTS_MAX) {
            snprintf(set->error, sizeof set->error, "more than %u words", OPTION_ARGUMENTS_MAX);
            return status_of(ST_INVALID);
        } else {
            set->arguments[set->argument_count++] = argv[i++];
        }
    }
    return status_of(ST_OK);
}

/* ---- help ---- */

const char *option_value_name(const struct option *o) {
    if (o->value_name != NULL) return o->value_name;
    switch (o->kind) {
    case OPTION_FLAG: return "";
    case OPTION_TEXT: return "TEXT";
    case OPTION_ADDRESS: return "HOST:PORT";
    case OPTION_NUMBER: return "N";
    case OPTION_SIZE: return "SIZE";
    case OPTION_TIME: return "TIME";
    case OPTION_CHOICE: return o->choices;
    }
    return "";
}

const char *option_environment_name(const struct option *o, char *text, size_t text_bytes) {
    snprintf(text, text_bytes, "ATOLL_%s", o->name);
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '-') *at = '_';
        if (*at >= 'a' && *at <= 'z') *at = (char)(*at - ('a' - 'A'));
    }
    return text;
}

void option_print_help(const struct option_set *set) {
    for (uint32_t i = 0; i < set->count; i++) {
        const struct option *o = &set->options[i];
        const char *value = option_value_name(o);
        const int width = printf("  --%s%s%s", o->name, value[0] != '\0' ? " " : "", value);
        if (width >= HELP_COLUMN - 1)
            printf("\n%*s", HELP_COLUMN, "");
        else
            printf("%*s", HELP_COLUMN - width, "");
        printf("%s", o->help);
        const char *fallback = o->fallback_is != NULL ? o->fallback_is : o->fallback;
        if (o->kind != OPTION_FLAG && fallback[0] != '\0') printf(" (default: %s)", fallback);
        printf("\n");
    }
    printf("  --%-*s%s\n", HELP_COLUMN - 4, "help", "show this text");
}
