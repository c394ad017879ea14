/* pneumo-dist compare: runs side by side. */
#include "pneumo/report/compare.h"
#include "pneumo/cli/command.h"
#include "pneumo/io/file.h"
#include "pneumo/report/table.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static void print_help(void)
{
    printf("usage: pneumo-dist compare RUN... [OPTION]...\n\n"
           "Prints a table of finished runs, a row for each run's folder: the figures of its test "
           "fold with their\n95 %% intervals, and what it cost; and whether the best three differ "
           "by more than noise, if they\nwere tested on the same images.\n\n"
           "  -s, --sort COLUMN   best first by this column (default auc):\n"
           "                     ");
    for (int i = 0; i < PD_COLUMNS; i++)
        printf(" %s%s", pd_column_names[i], i + 1 < PD_COLUMNS ? "," : "\n");
    printf("      --csv FILE      also write the table as CSV\n"
           "      --html FILE     also write it as a page\n"
           "  -h, --help\n\n"
           "example: pneumo-dist compare runs/*/ --html runs/compare.html\n");
}

static pd_status find_column(pd_column *out, const char *name)
{
    for (int i = 0; i < PD_COLUMNS; i++) {
        if (strcmp(name, pd_column_names[i]) == 0) {
            *out = (pd_column)i;
            return PD_OK;
        }
    }
    return pd_fail_usage("--sort '%s' is no column of figures", name);
}

pd_status pd_command_compare(pd_comm *comm, int argc, char **argv)
{
    enum { CSV = 256, HTML };
    static const struct option names[] = {
        {"sort", required_argument, NULL, 's'},
        {"csv", required_argument, NULL, CSV},
        {"html", required_argument, NULL, HTML},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    pd_status status = PD_OK;
    pd_comparison *comparison = NULL;
    pd_column sort = PD_COLUMN_AUC;
    const char *csv = NULL, *html = NULL;
    int option;
    (void)comm; /* main calls this on rank 0 only */
    while ((option = getopt_long(argc, argv, ":s:h", names, NULL)) != -1) {
        switch (option) {
        case 's':
            PD_TRY(find_column(&sort, optarg));
            break;
        case CSV:
            csv = optarg;
            break;
        case HTML:
            html = optarg;
            break;
        case 'h':
            print_help();
            return PD_OK;
        default:
            return pd_command_bad_option(argc, argv, option);
        }
    }
    if (optind == argc)
        return pd_fail_usage("no run to compare was given");
    PD_TRY(pd_compare(&comparison, (const char *const *)argv + optind, argc - optind, sort));
    if (csv != NULL) {
        PD_TRY(pd_folder_make_above(csv));
        PD_TRY(pd_table_write_csv(csv, comparison));
    }
    if (html != NULL) {
        PD_TRY(pd_folder_make_above(html));
        PD_TRY(pd_table_write_html(html, comparison));
    }
    pd_table_print(stdout, comparison);
cleanup:
    pd_comparison_destroy(&comparison);
    return status;
}
