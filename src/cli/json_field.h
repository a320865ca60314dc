/* json_field.h - fields of a node's answer that are not trusted to be there or to make sense. */
#ifndef ATOLL_CLI_JSON_FIELD_H
#define ATOLL_CLI_JSON_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether it is a whole number from 0 up. */
bool json_field_number(const json_t *object, const char *name, uint64_t *ret_number);
/* Whether it is a string; `text` is cut to `text_bytes` and safe to print. */
bool json_field_text(const json_t *object, const char *name, char *text, size_t text_bytes);

#endif
