#include "proto/resp.h"

#include "base/assert.h"

/* Whether `c` is in the class that begins behind the '[' at pattern[*at - 1]; moves *at
 * behind the class. An open class ends with the pattern, as in Redis. */
static bool class_match(struct bytes pattern, size_t *at, uint8_t c) {
    const uint8_t *const p = pattern.ptr;
    size_t i = *at;
    bool found = false;
    const bool negated = i < pattern.len && p[i] == '^';
    if (negated) i++;
    while (i < pattern.len && p[i] != ']') {
        if (p[i] == '\\' && pattern.len - i >= 2) {
            found |= p[i + 1] == c;
            i += 2;
        } else if (pattern.len - i >= 3 && p[i + 1] == '-') {
            const uint8_t low = p[i] < p[i + 2] ? p[i] : p[i + 2];
            const uint8_t high = p[i] < p[i + 2] ? p[i + 2] : p[i];
            found |= low <= c && c <= high;
            i += 3;
        } else {
            found |= p[i] == c;
            i++;
        }
    }
    *at = i < pattern.len ? i + 1 : i;
    return found != negated;
}

/* Match one byte of text against the element at pattern[*at]; moves *at behind it. */
static bool element_match(struct bytes pattern, size_t *at, uint8_t c) {
    ASSERT(*at < pattern.len);
    const uint8_t element = pattern.ptr[(*at)++];
    if (element == '?') return true;
    if (element == '[') return class_match(pattern, at, c);
    if (element == '\\' && *at < pattern.len) return pattern.ptr[(*at)++] == c;
    return element == c;
}

bool resp_glob_match(struct bytes pattern, struct bytes text) {
    size_t p = 0, t = 0;
    size_t star = SIZE_MAX; /* behind the last star, none yet */
    size_t star_text = 0;   /* what that star matches ends here */
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        if (p < pattern.len && element_match(pattern, &p, text.ptr[t])) {
            t++;
            continue;
        }
        /* Only the last star need give way: an earlier one could not do better. */
        if (star == SIZE_MAX) return false;
        p = star;
        t = ++star_text;
    }
    while (p < pattern.len && pattern.ptr[p] == '*') p++;
    return p == pattern.len;
}
