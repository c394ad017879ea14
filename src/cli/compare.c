/* pneumo-dist compare: compares finished runs. */
#include "pneumo/report/compare.h"
#include "command.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"
#include "pneumo/io/outputs.h"
#include "pneumo/report/table.h"
#include "pneumo/train/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
    int sort; /* pd_column */
    const char *csv, *html;
} arguments;

static const arguments defaults = {.sort = PD_COLUMN_AUC};

static const pd_option options[] = {{"sort", 's', PD_OPTION_CHOICE, offsetof(arguments, sort),
                                     "COLUMN", "column to sort by, best first (default auc)",
                                     .choices = pd_column_names},
                                    {"csv", 0, PD_OPTION_TEXT, offsetof(arguments, csv), "FILE",
                                     "also write the table as CSV", .complete = PD_COMPLETE_FILES},
                                    {"html", 0, PD_OPTION_TEXT, offsetof(arguments, html), "FILE",
                                     "also write it as a page", .complete = PD_COMPLETE_FILES},
                                    {0}};

/* Fails if a file to write is one of those that are read of a run. */
static pd_status check_outputs(const arguments *given, char *const *runs, int count)
{
    static const char *const names[] = {"report.json", "scores.csv"};
    const char *const outputs[] = {given->csv, given->html};
    pd_status status = PD_OK;
    char **inputs = NULL;
    int found = 0;
    PD_TRY(pd_alloc(&inputs, 2 * (size_t)count, sizeof *inputs));
    for (; found < 2 * count; found++)
        PD_TRY(pd_run_path(&inputs[found], runs[found / 2], names[found % 2]));
    status = pd_outputs_check(outputs, 2, (const char *const *)inputs, found);
cleanup:
    for (int i = 0; i < found; i++)
        free(inputs[i]);
    free(inputs);
    return status;
}

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    pd_comparison *comparison = NULL;
    (void)comm;
    PD_TRY(check_outputs(given, operands, count));
    PD_TRY(pd_compare(&comparison, (const char *const *)operands, count, (pd_column)given->sort));
    if (given->csv != NULL) {
        PD_TRY(pd_folder_make_above(given->csv));
        PD_TRY(pd_table_write_csv(given->csv, comparison));
    }
    if (given->html != NULL) {
        PD_TRY(pd_folder_make_above(given->html));
        PD_TRY(pd_table_write_html(given->html, comparison));
    }
    if (!pd_output_is_stdout(given->csv) && !pd_output_is_stdout(given->html))
        pd_table_print(stdout, comparison);
cleanup:
    pd_comparison_destroy(&comparison);
    return status;
}

const pd_command pd_command_compare = {
    .name = "compare",
    .summary = "compare runs, and test which differences are significant",
    .description = "Prints a table of finished runs, a row for each run's folder: the figures of "
                   "its test fold "
                   "with their 95 % intervals, and what it cost; and whether the best three differ "
                   "significantly, if they were tested on the same images. CSV or page to '-' are "
                   "printed instead.",
    .examples = "pneumo-dist compare runs/*/ --html runs/compare.html",
    .operands = {{"RUN", PD_COMPLETE_FOLDERS, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
    .one_rank = true,
};
