#include "key_file.h"

#include "pneumo/base/memory.h"

#include <ctype.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* A text fits into what inih reads as one line. */
_Static_assert(PD_KEY_TEXT_MAX + 16 <= INI_MAX_LINE, "a text value fits into one line of inih");

typedef struct reading {
    const pd_key_file *file;
    void *settings;
    const char *at, *end; /* the text that is not yet read */
    int line;             /* number of the line read last */
    pd_status status;     /* of the line read last; a failure ends the reading */
} reading;

/* `line` starts with '['. Checked here because inih reports only keys. */
static pd_status check_section(const pd_keys *keys, const char *line)
{
    const char *close = strchr(line, ']');
    if (close == NULL)
        return pd_fail("'%s' lacks a ']'", line);
    const char *rest = close + 1 + strspn(close + 1, " \t");
    if (*rest != '\0' && *rest != ';' && *rest != '#')
        return pd_fail("'%s' after a section's name; start a new line", rest);

    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(close - line - 1), line + 1);
    return pd_key_has_section(keys, name) ? PD_OK : pd_key_fail_section(keys, name);
}

/* The reader for inih, which works like fgets. Returns one whole line per call, so that lines can
 * be counted, without indentation, which inih would read as the continuation of a value. */
static char *read_line(char *buffer, int size, void *stream)
{
    reading *r = stream;
    if (r->status != PD_OK || r->at == r->end)
        return NULL;

    const char *start = r->at;
    const char *stop = memchr(start, '\n', (size_t)(r->end - start));
    r->at = stop != NULL ? stop + 1 : r->end;
    stop = stop != NULL ? stop : r->end;
    r->line++;
    while (start < stop && isspace((unsigned char)*start))
        start++;
    while (start < stop && isspace((unsigned char)stop[-1]))
        stop--;

    for (const char *c = start; c < stop; c++) {
        if (iscntrl((unsigned char)*c) && *c != '\t')
            r->status = pd_fail("byte %d is not text; is this a job file?", (unsigned char)*c);
    }
    size_t length = (size_t)(stop - start);
    if (length > 0 && (*start == '#' || *start == ';'))
        length = 0; /* a comment may be longer than the buffer */
    if (r->status == PD_OK && length + 2 > (size_t)size)
        r->status = pd_fail("the line is longer than %d characters", size - 2);
    if (r->status != PD_OK)
        return NULL;

    memcpy(buffer, start, length);
    buffer[length] = '\0';
    if (buffer[0] == '[')
        r->status = check_section(r->file->keys, buffer);
    return r->status == PD_OK ? buffer : NULL;
}

static int handle_key(void *user, const char *section, const char *name, const char *value)
{
    reading *r = user;
    const pd_key_file *file = r->file;
    int index = 0;
    if (section[0] == '\0') {
        char meant[PD_KEY_SUGGESTION];
        r->status = pd_fail("key '%s' precedes the first [section]%s", name,
                            pd_key_suggest_section(meant, file->keys, name));
        return 0;
    }
    if (file->rename != NULL)
        file->rename(section, &name, &value);
    r->status = pd_key_find(&index, file->keys, section, name);
    if (r->status == PD_OK && file->lines[index] > 0)
        r->status = pd_fail("key '%s' is already set in line %d", name, file->lines[index]);
    if (r->status == PD_OK)
        r->status = pd_key_set(r->settings, &file->keys->keys[index], value);
    if (r->status != PD_OK)
        return 0;
    file->lines[index] = r->line;
    return 1;
}

/* Reports the first error. inih reads on after a line that is not INI; read_line does not. */
static pd_status read_text(reading *r)
{
    const char *origin = r->file->origin;
    int first_error = ini_parse_stream(read_line, r, handle_key, r);
    if (first_error < 0)
        return pd_fail("%s: out of memory", origin);
    if (first_error > 0 && (r->status == PD_OK || first_error < r->line)) {
        pd_fail("the line is neither '[section]' nor 'key = value'");
        return pd_error_prefix(PD_FAILED, "%s:%d", origin, first_error);
    }
    if (r->status != PD_OK)
        return pd_error_prefix(r->status, "%s:%d", origin, r->line);
    return PD_OK;
}

/* Removes white space from both ends, in place. */
static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

static pd_status apply_override(const reading *r, const char *override)
{
    const pd_key_file *file = r->file;
    char *copy = NULL;
    int index = 0;
    pd_status status = pd_strdup(&copy, override);
    if (status != PD_OK)
        return status;
    char *equals = strchr(copy, '=');
    if (equals != NULL)
        *equals = '\0';
    char *dot = strchr(copy, '.');
    if (equals == NULL || dot == NULL) {
        char meant[PD_KEY_SUGGESTION] = "";
        if (dot == NULL)
            pd_key_suggest_section(meant, file->keys, trim(copy));
        status = pd_fail("write it as section.key=value%s", meant);
        goto cleanup;
    }
    *dot = '\0';
    PD_TRY(pd_key_find(&index, file->keys, trim(copy), trim(dot + 1)));
    PD_TRY(pd_key_set(r->settings, &file->keys->keys[index], trim(equals + 1)));
    file->lines[index] = 0;

cleanup:
    free(copy);
    if (status != PD_OK)
        return pd_error_prefix(PD_USAGE, "--set %.*s", (int)strcspn(override, "\r\n"), override);
    return PD_OK;
}

pd_status pd_key_file_read(void *settings, const pd_key_file *file)
{
    pd_status status = PD_OK;
    reading r = {
        .file = file, .settings = settings, .at = file->text, .end = file->text + file->size};
    if (file->size >= 3 && memcmp(file->text, "\xEF\xBB\xBF", 3) == 0)
        r.at += 3; /* the byte order mark that some editors put before UTF-8 */
    memset(file->lines, 0, (size_t)file->keys->count * sizeof *file->lines);
    PD_TRY(read_text(&r));
    for (int i = 0; i < file->override_count; i++)
        PD_TRY(apply_override(&r, file->overrides[i]));
cleanup:
    return status;
}

/* Whether `name` is "section.name" of the key. */
static bool is_key(const pd_key *key, const char *name)
{
    size_t length = strlen(key->section);
    return strncmp(name, key->section, length) == 0 && name[length] == '.' &&
           strcmp(name + length + 1, key->name) == 0;
}

pd_status pd_key_file_fail(const pd_key_file *file, const char *a, const char *b, pd_status status)
{
    int line = 0;
    for (int i = 0; i < file->keys->count; i++) {
        const pd_key *key = &file->keys->keys[i];
        if ((is_key(key, a) || is_key(key, b)) && file->lines[i] > line)
            line = file->lines[i];
    }
    if (line > 0)
        return pd_error_prefix(status, "%s:%d", file->origin, line);
    return pd_error_prefix(status, "%s", file->origin);
}
