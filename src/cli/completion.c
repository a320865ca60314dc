/* completion.c - `atoll completion bash|zsh`: scripts for the shells, made from the tables that the
 * commands parse their words with.
 *
 * A script has four functions that are mere tables, the same for both shells, and one that knows
 * its shell. What they print is a line each, `word:help`, or @file, @folder or @any. A place is
 * the command, and the word behind it if it has words: "get", "cluster status".
 */
#include "cli/admin.h"
#include "cli/command.h"

#include "base/assert.h"
#include "base/buffer.h"

#include <stdio.h>

#define SCRIPT_BYTES_MAX (1024u * 1024)
#define PLACE_BYTES 64u

struct completion {
    const struct command *commands;
    uint32_t count;    /* of `commands` */
    struct buffer out; /* the script */
};

/* `each` is called for every place that has options. */
struct place {
    char name[PLACE_BYTES];
    const struct option *options, *more;
    uint32_t options_count, more_count; /* of these */
    const char *arguments;              /* as in struct command_words, or of a word */
};
typedef void (*place_each)(struct completion *c, const struct place *place);

static void for_words(struct completion *c, const struct command *command, place_each each) {
    struct option options[ADMIN_OPTIONS];
    const struct command_words *w = command->words;
    struct place place = { .options = options };
    (void)snprintf(place.name, sizeof place.name, "%s", command->name);
    place.options_count = admin_word_options(NULL, options);
    each(c, &place);
    for (uint32_t i = 0; i < w->words_count; i++) {
        (void)snprintf(place.name, sizeof place.name, "%s %s", command->name, w->words[i].name);
        place.options_count = admin_word_options(&w->words[i], options);
        place.arguments = w->words[i].arguments;
        each(c, &place);
    }
}

static void for_places(struct completion *c, place_each each) {
    for (uint32_t i = 0; i < c->count; i++) {
        const struct command *command = &c->commands[i];
        const struct command_words *w = command->words;
        ASSERT(w != NULL);
        if (w->words != NULL) {
            for_words(c, command, each);
            continue;
        }
        struct place place = { .options = w->options,
                               .options_count = w->options_count,
                               .more = w->more,
                               .more_count = w->more_count,
                               .arguments = w->arguments };
        (void)snprintf(place.name, sizeof place.name, "%s", command->name);
        each(c, &place);
    }
}

/* ---- pieces of shell ---- */

static void append_inside_quotes(struct buffer *out, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'')
            buffer_append_string(out, "'\\''");
        else
            buffer_append_u8(out, (uint8_t)text[i]);
    }
}

/* " 'word:help'"; help ends with its first sentence. */
static void append_item(struct buffer *out, const char *dashes, const char *word,
                        const char *help) {
    buffer_printf(out, " '%s", dashes);
    append_inside_quotes(out, word, strlen(word));
    buffer_append_u8(out, ':');
    append_inside_quotes(out, help, strcspn(help, ".\n"));
    buffer_append_u8(out, '\'');
}

static void begin_case(struct buffer *out, const char *place) {
    buffer_printf(out, "    '%s') printf '%%s\\n'", place);
}

static void end_case(struct buffer *out) {
    buffer_append_string(out, " ;;\n");
}

static void append_word(struct buffer *out, const char *word, size_t len) {
    buffer_append_string(out, " '");
    append_inside_quotes(out, word, len);
    buffer_append_u8(out, '\'');
}

/* What of "one|quorum|all|N" can be typed as it is: the names in capitals stand for something. A
 * word ends where a part in brackets may follow, or with the '=' before a value. */
static bool append_words(struct buffer *out, const char *words) {
    bool any = false;
    while (*words != '\0') {
        const size_t len = strcspn(words, "|");
        size_t shown = strcspn(words, "|[=");
        if (words[shown] == '=') shown++;
        if (*words >= 'a' && *words <= 'z' && shown <= len) {
            append_word(out, words, shown);
            any = true;
        }
        words += len + (words[len] == '|');
    }
    return any;
}

/* The values of an option, or what is put in an argument's place. */
static void append_values(struct buffer *out, const char *values) {
    if (strcmp(values, "FILE") == 0)
        append_word(out, "@file", 5);
    else if (strcmp(values, "FOLDER") == 0)
        append_word(out, "@folder", 7);
    else if (!append_words(out, values))
        append_word(out, "@any", 4);
}

/* ---- the tables ---- */

static void append_commands(struct completion *c, const char *place) {
    begin_case(&c->out, place);
    for (uint32_t i = 0; i < c->count; i++)
        append_item(&c->out, "", c->commands[i].name, c->commands[i].help);
    end_case(&c->out);
}

static void append_words_table(struct completion *c) {
    buffer_append_string(&c->out, "# The words that may follow.\n"
                                  "_atoll_words() {\n    case \"$1\" in\n");
    append_commands(c, "");
    append_commands(c, "help");
    for (uint32_t i = 0; i < c->count; i++) {
        const struct command_words *w = c->commands[i].words;
        if (w->words == NULL) continue;
        begin_case(&c->out, c->commands[i].name);
        for (uint32_t j = 0; j < w->words_count; j++)
            append_item(&c->out, "", w->words[j].name, w->words[j].help);
        end_case(&c->out);
    }
    buffer_append_string(&c->out, "    esac\n}\n\n");
}

static void append_options(struct completion *c, const struct place *place) {
    begin_case(&c->out, place->name);
    for (uint32_t i = 0; i < place->options_count; i++)
        append_item(&c->out, "--", place->options[i].name, place->options[i].help);
    for (uint32_t i = 0; i < place->more_count; i++)
        append_item(&c->out, "--", place->more[i].name, place->more[i].help);
    append_item(&c->out, "--", "help", "show what it takes");
    end_case(&c->out);
}

static void append_option_values(struct completion *c, const struct place *place) {
    for (uint32_t i = 0; i < place->options_count; i++) {
        const struct option *o = &place->options[i];
        if (o->kind == OPTION_FLAG) continue;
        buffer_printf(&c->out, "    '%s --%s'", place->name, o->name);
        if (o->also != NULL) buffer_printf(&c->out, " | '%s --%s'", place->name, o->also);
        buffer_append_string(&c->out, ") printf '%s\\n'");
        append_values(&c->out, option_value_name(o));
        end_case(&c->out);
    }
}

static void append_arguments(struct completion *c, const struct place *place) {
    if (place->arguments == NULL || place->arguments[0] == '\0') return;
    begin_case(&c->out, place->name);
    append_values(&c->out, place->arguments);
    end_case(&c->out);
}

static void append_tables(struct completion *c) {
    append_words_table(c);
    buffer_append_string(&c->out, "# The options there.\n"
                                  "_atoll_options() {\n    case \"$1\" in\n");
    for_places(c, append_options);
    buffer_append_string(&c->out, "    esac\n}\n\n"
                                  "# What an option takes; fails if it takes nothing.\n"
                                  "_atoll_values() {\n    case \"$1 $2\" in\n");
    for_places(c, append_option_values);
    buffer_append_string(&c->out, "    *) return 1 ;;\n    esac\n}\n\n"
                                  "# What may stand there besides.\n"
                                  "_atoll_arguments() {\n    case \"$1\" in\n");
    for_places(c, append_arguments);
    buffer_append_string(&c->out, "    esac\n}\n\n");
}

/* ---- what is the same in each script ---- */

/* `--sync=always` comes as three words in bash, as one in zsh. */
static const char place_function[] =
    "# The place that these words lead to.\n"
    "_atoll_place() {\n"
    "    local at='' one='' value=''\n"
    "    for one in \"$@\"; do\n"
    "        if [ -n \"$value\" ]; then\n"
    "            [ \"$one\" = '=' ] || value=''\n"
    "            continue\n"
    "        fi\n"
    "        case \"$one\" in\n"
    "        -*=*) ;;\n"
    "        -*)\n"
    "            one=${one#-}\n"
    "            _atoll_values \"$at\" \"--${one#-}\" >/dev/null && value=1 ;;\n"
    "        *)\n"
    "            if [ -z \"$at\" ]; then\n"
    "                at=$one\n"
    "            elif _atoll_words \"$at\" | grep -q \"^$one:\"; then\n"
    "                at=\"$at $one\"\n"
    "            fi ;;\n"
    "        esac\n"
    "    done\n"
    "    printf '%s' \"$at\"\n"
    "}\n\n";

static const char bash_start[] =
    "# Completion of atoll for bash. Made by `atoll completion bash`; to use it:\n"
    "#   source <(atoll completion bash)\n"
    "# or keep it as /etc/bash_completion.d/atoll.\n\n";

static const char bash_end[] =
    "_atoll() {\n"
    "    local IFS=$'\\n' at values current=${COMP_WORDS[COMP_CWORD]}\n"
    "    local before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    COMPREPLY=()\n"
    "    if [ \"$current\" = '=' ]; then\n"
    "        current=''\n"
    "    elif [ \"$before\" = '=' ]; then\n"
    "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    case \"$before\" in --*) ;; -?*) before=-$before ;; esac\n"
    "    at=$(_atoll_place \"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\n"
    "    if ! values=$(_atoll_values \"$at\" \"$before\"); then\n"
    "        case \"$current\" in\n"
    "        -*) values=$(_atoll_options \"$at\") ;;\n"
    "        *) values=$(_atoll_words \"$at\" && _atoll_arguments \"$at\") ;;\n"
    "        esac\n"
    "        values=$(printf '%s\\n' \"$values\" | sed 's/:.*//')\n"
    "    fi\n"
    "    case \"$values\" in\n"
    "    @any) ;;\n"
    "    @file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$current\")) ;;\n"
    "    @folder) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$current\")) ;;\n"
    "    *) COMPREPLY=($(compgen -W \"$values\" -- \"$current\")) ;;\n"
    "    esac\n"
    "    case \"${COMPREPLY[*]}\" in\n"
    "    *=) compopt -o nospace 2>/dev/null ;;\n"
    "    esac\n"
    "}\n\n"
    "complete -F _atoll atoll\n";

static const char zsh_start[] =
    "#compdef atoll\n"
    "# Completion of atoll for zsh. Made by `atoll completion zsh`; to use it:\n"
    "#   source <(atoll completion zsh)\n"
    "# or keep it as _atoll in a folder of $fpath.\n\n";

static const char zsh_end[] =
    "_atoll() {\n"
    "    local at values before=${words[CURRENT-1]} current=${words[CURRENT]}\n"
    "    local -a items\n"
    "    at=$(_atoll_place \"${(@)words[2,CURRENT-1]}\")\n"
    "    if [[ $current == --*=* ]]; then\n"
    "        before=${current%%=*}\n"
    "        compset -P '*='\n"
    "    fi\n"
    "    case $before in (--*) ;; (-?*) before=-$before ;; esac\n"
    "    if values=$(_atoll_values \"$at\" \"$before\"); then\n"
    "        items=(\"${(@f)values}\")\n"
    "    elif [[ $current == -* ]]; then\n"
    "        items=(\"${(@f)$(_atoll_options \"$at\")}\")\n"
    "    else\n"
    "        items=(\"${(@f)$(_atoll_words \"$at\" && _atoll_arguments \"$at\")}\")\n"
    "    fi\n"
    "    case ${items[1]} in\n"
    "    (@any|) return 1 ;;\n"
    "    (@file) _files ;;\n"
    "    (@folder) _files -/ ;;\n"
    "    (*=) compadd -S '' -a items ;;\n"
    "    (*) _describe atoll items ;;\n"
    "    esac\n"
    "}\n\n"
    "if [ \"${funcstack[1]}\" = _atoll ]; then\n"
    "    _atoll \"$@\"\n"
    "else\n"
    "    compdef _atoll atoll\n"
    "fi\n";

static const struct option options[] = {
    { .name = "json",
      .kind = OPTION_FLAG,
      .fallback = "false",
      .help = "print an object with the script" },
};

const struct command_words cli_completion_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
    .arguments = "bash|zsh",
};

int cli_completion(const struct command *commands, uint32_t count, int argc, char **argv) {
    static struct option_set set;
    bool json = false;
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof *options, &json);
    if (!cli_parse(&set, "atoll completion (bash | zsh)",
                   "Print a script that completes commands, options and their values.\n"
                   "In ~/.bashrc: source <(atoll completion bash); in ~/.zshrc, behind compinit:\n"
                   "source <(atoll completion zsh)",
                   argc, argv, 1, 1, &code))
        return code;
    const bool zsh = strcmp(set.arguments[0], "zsh") == 0;
    if (!zsh && strcmp(set.arguments[0], "bash") != 0)
        return cli_fail(EXIT_CODE_USAGE, "there are scripts for bash and zsh; usage: atoll "
                                         "completion (bash | zsh)");
    struct completion c = { .commands = commands, .count = count };
    buffer_init(&c.out, SCRIPT_BYTES_MAX);
    buffer_append_string(&c.out, zsh ? zsh_start : bash_start);
    append_tables(&c);
    buffer_append_string(&c.out, place_function);
    buffer_append_string(&c.out, zsh ? zsh_end : bash_end);
    ASSERT(!c.out.overflowed);
    const struct bytes script = buffer_bytes(&c.out);
    if (json) {
        printf("{");
        cli_print_json_member("script", script);
        printf("}\n");
    } else {
        fwrite(script.ptr, 1, script.len, stdout);
    }
    buffer_deinit(&c.out);
    return cli_finish(EXIT_CODE_OK);
}
