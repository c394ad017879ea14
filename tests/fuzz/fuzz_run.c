/* status.csv, history.csv and run.lock of a run, separated by zero bytes, and what watch shows. */
#include "fuzz.h"

#include "pneumo/base/text.h"
#include "pneumo/report/watch.h"

#include <stdlib.h>
#include <string.h>

static void show(const pd_run_view *view)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fuzz_check(out != NULL, "memory for the view");
    const pd_text_style style = {.width = 79, .height = 23, .unicode = true};
    pd_watch_print(out, view, 1, &style);
    for (int i = 0; i < view->count; i++)
        pd_watch_print_epoch(out, view, i);
    fclose(out);
    for (const char *at = text; *at != '\0'; at += pd_text_character_size(at))
        fuzz_check(pd_text_character_size(at) > 0 && (*at == '\n' || !pd_text_is_control(at)),
                   "a view without control characters");
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const names[] = {"status.csv", "history.csv", "run.lock"};
    pd_run_view view;
    for (int i = 0; i < 3; i++) {
        const uint8_t *end = i < 2 && size > 0 ? memchr(bytes, 0, size) : NULL;
        size_t own = end != NULL ? (size_t)(end - bytes) : size;
        fuzz_file(names[i], bytes, own);
        bytes += own + (end != NULL);
        size -= own + (end != NULL);
    }
    if (pd_run_view_read(&view, fuzz_folder()) == PD_OK)
        show(&view);
    pd_run_view_free(&view);
    return 0;
}
