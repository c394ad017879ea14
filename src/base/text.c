#include "pneumo/base/text.h"

#include "pneumo/base/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

char *pd_text_number(char text[PD_TEXT_NUMBER], double value)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, PD_TEXT_NUMBER, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return text;
}

char *pd_text_grouped(char text[PD_TEXT_NUMBER], uint64_t value)
{
    char digits[PD_TEXT_NUMBER];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, value), used = 0;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

const char *pd_text_plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

size_t pd_text_character_size(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x80)
        return 1;
    size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* The code point of a valid UTF-8 character of `size` bytes. */
static uint32_t decode(const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    uint32_t point = size == 1 ? at[0] : at[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        point = point << 6 | (at[i] & 0x3fu);
    return point;
}

/* Columns and, in *size, bytes of the character at `text`. The program sets no locale, so wcwidth
 * knows ASCII only. */
static int measure(const char *text, size_t *size)
{
    /* Contain every wide character of Unicode 15 (East_Asian_Width W and F), and a few others. */
    static const struct {
        uint32_t first, last;
    } wide[] = {{0x1100, 0x115f},   {0x231a, 0x23ff},   {0x25fd, 0x27bf},  {0x2b1b, 0x2b55},
                {0x2e80, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7ff},  {0xf900, 0xfaff},
                {0xfe10, 0xfe6f},   {0xff01, 0xff60},   {0xffe0, 0xffe6},  {0x16fe0, 0x18dff},
                {0x1aff0, 0x1b2ff}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd}};
    size_t bytes = pd_text_character_size(text);
    *size = bytes > 0 ? bytes : 1;
    uint32_t point = decode(text, *size);
    for (size_t i = 0; i < sizeof wide / sizeof *wide && bytes > 0; i++)
        if (point >= wide[i].first && point <= wide[i].last)
            return 2;
    return 1;
}

int pd_text_columns(const char *text)
{
    int columns = 0;
    for (size_t size; *text != '\0'; text += size)
        columns += measure(text, &size);
    return columns;
}

size_t pd_text_fit(const char *text, int columns)
{
    size_t bytes = 0, size;
    for (; text[bytes] != '\0'; bytes += size) {
        columns -= measure(text + bytes, &size);
        if (columns < 0)
            break;
    }
    return bytes;
}

bool pd_text_is_control(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

static void replace_invalid(char *text, bool controls)
{
    while (*text != '\0') {
        size_t length = pd_text_character_size(text);
        if (length == 0 || (controls && pd_text_is_control(text))) {
            length = length == 0 ? 1 : length;
            memset(text, '?', length);
        }
        text += length;
    }
}

void pd_text_make_utf8(char *text)
{
    replace_invalid(text, false);
}

void pd_text_make_printable(char *text)
{
    replace_invalid(text, true);
}

void pd_text_write_csv(FILE *out, const char *text)
{
    if (text[strcspn(text, ",\"\r\n")] == '\0') {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

int pd_text_distance(const char *a, const char *b)
{
    enum { LONGEST = 63 };
    int rows[3][LONGEST + 1]; /* distances of the last three prefixes of `a` to all of `b` */
    int m = (int)strnlen(a, LONGEST), n = (int)strnlen(b, LONGEST);
    for (int j = 0; j <= n; j++)
        rows[0][j] = j;
    for (int i = 1; i <= m; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            row[j] = pd_min_int(pd_min_int(above[j], row[j - 1]) + 1,
                                above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = pd_min_int(row[j], before[j - 2] + 1);
        }
    }
    return rows[m % 3][n];
}
