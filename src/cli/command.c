#include "cli/command.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>

int cli_fail(enum exit_code code, const char *format, ...) {
    ASSERT(code != EXIT_CODE_OK);
    fflush(stdout); /* what was found before comes before */
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "atoll: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    return code;
}

int cli_finish(enum exit_code code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    return cli_fail(EXIT_CODE_FILE, "cannot write to standard output");
}

bool cli_parse(struct option_set *set, const char *usage, const char *help, int argc, char **argv,
               uint32_t arguments_min, uint32_t arguments_max, int *ret_code) {
    ASSERT(arguments_min <= arguments_max);
    const struct status s = option_parse(set, argc, argv);
    if (set->help) {
        printf("usage: %s\n\n%s\n\n", usage, help);
        option_print_help(set);
        *ret_code = cli_finish(EXIT_CODE_OK);
        return false;
    }
    if (!status_ok(s)) {
        *ret_code = cli_fail(EXIT_CODE_USAGE, "%s", set->error);
        return false;
    }
    if (set->argument_count < arguments_min || set->argument_count > arguments_max) {
        *ret_code = cli_fail(EXIT_CODE_USAGE, "too %s words; usage: %s",
                             set->argument_count < arguments_min ? "few" : "many", usage);
        return false;
    }
    return true;
}

bool cli_server_from_environment(struct os *os, struct option_set *set, int *ret_code) {
    const int32_t index = option_find(set, BYTES_LIT("server"));
    ASSERT(index >= 0);
    const char *value = os_environment(os, "ATOLL_SERVER");
    if (value == NULL) return true;
    const struct status s = option_put(set, (uint32_t)index, OPTION_ENVIRONMENT, "ATOLL_SERVER",
                                       bytes_of_string(value));
    if (!status_ok(s)) *ret_code = cli_fail(EXIT_CODE_USAGE, "%s", set->error);
    return status_ok(s);
}

int cli_cannot_connect(const char *server) {
    return cli_fail(EXIT_CODE_CONNECT,
                    "cannot connect to %s: nobody answers there; is a node running? start one "
                    "with: atoll serve",
                    server);
}
