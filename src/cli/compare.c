/* pneumo-dist compare: compares finished runs. */
#include "pneumo/report/compare.h"
#include "command.h"
#include "pneumo/io/file.h"
#include "pneumo/report/table.h"

#include <stdio.h>
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

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    pd_comparison *comparison = NULL;
    (void)comm;
    PD_TRY(pd_compare(&comparison, (const char *const *)operands, count, (pd_column)given->sort));
    if (given->csv != NULL) {
        PD_TRY(pd_folder_make_above(given->csv));
        PD_TRY(pd_table_write_csv(given->csv, comparison));
    }
    if (given->html != NULL) {
        PD_TRY(pd_folder_make_above(given->html));
        PD_TRY(pd_table_write_html(given->html, comparison));
    }
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
                   "significantly, if they were tested on the same images.",
    .examples = "pneumo-dist compare runs/*/ --html runs/compare.html",
    .operands = {{"RUN", PD_COMPLETE_FOLDERS, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
    .one_rank = true,
};
