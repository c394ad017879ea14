#include "html.h"
#include "page_fold.h"
#include "page_parts.h"
#include "stress_chart.h"

static void write_stress_figure(FILE *out, const pd_figure *figure, const char *at, bool missed)
{
    fputs(missed ? "<td><b class=\"missing\">" : "<td><b>", out);
    pd_page_put_percent(out, figure->value, pd_page_key_of(at, "value").text);
    fputs(missed ? " !</b></td><td>" : "</b></td><td>", out);
    pd_page_put_interval(out, figure, at);
    fputs("</td>", out);
}

static void write_stress_row(FILE *out, const pd_stress *stress, int number, const char *at,
                             pd_targets targets)
{
    const pd_stress_row *row = &stress->rows[number];
    char index[16];
    bool worst = number == stress->worst;
    snprintf(index, sizeof index, "%d", number);
    pd_page_key own = pd_page_key_of(pd_page_key_of(at, "rows").text, index);
    fprintf(out, "<tr%s><th scope=\"row\">%s%s</th>", worst ? " class=\"worst\"" : "",
            pd_stress_name(row), worst ? " (worst)" : "");
    pd_html_element(out, "td", pd_stress_phrase(row));
    fputs("<td>", out);
    pd_page_put_number(out, row->metrics.auc.value, 1, 4,
                       pd_page_key_of(pd_page_key_of(own.text, "auc").text, "value").text);
    fputs("</td>", out);
    write_stress_figure(out, &row->metrics.sensitivity,
                        pd_page_key_of(own.text, "sensitivity").text,
                        pd_verdict_misses_sensitivity(row, targets));
    write_stress_figure(out, &row->metrics.specificity,
                        pd_page_key_of(own.text, "specificity").text,
                        pd_verdict_misses_specificity(row, targets));
    fputs("</tr>\n", out);
}

void pd_page_write_stress(FILE *out, const pd_results *results, const pd_stress *stress,
                          const char *title, const char *name)
{
    static const char *const columns[] = {"images",
                                          "AUC",
                                          "sensitivity&nbsp;%",
                                          "95&nbsp;% interval",
                                          "specificity&nbsp;%",
                                          "95&nbsp;% interval",
                                          NULL};
    const pd_targets targets = pd_results_targets(results);
    const char *caveat = stress == &results->val.stress ? pd_verdict_caveat(results) : NULL;
    pd_page_key at = pd_page_key_of(pd_page_key_of("folds", name).text, "stress");
    if (!stress->present)
        return;
    pd_html_element(out, "h2", title);
    fputs("\n<p class=\"soft note\">", out);
    pd_page_put_count(out, stress->images, pd_page_key_of(at.text, "images").text);
    fputs(" of ", out);
    pd_page_put_count(out, stress->fold_images, pd_page_key_of(at.text, "fold_images").text);
    fputs(" images, changed as another machine, room or archive might produce them, at the "
          "threshold in use. AUC of all changed images together ",
          out);
    pd_page_put_number(out, stress->pooled_auc.value, 1, 4,
                       pd_page_key_of(pd_page_key_of(at.text, "pooled_auc").text, "value").text);
    fputs(stress->worst == PD_STRESS_NO_ROW
              ? ". ! is below a target.</p>\n"
              : ". The worst row has the lowest mean of sensitivity and specificity; ! is below a "
                "target.</p>\n",
          out);
    if (caveat != NULL)
        pd_html_element(out, "p class=\"note\"", caveat);
    pd_stress_chart_write(out, stress, targets);
    fputs("<div class=\"card changes\">\n", out);
    pd_page_open_table(out, columns);
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        write_stress_row(out, stress, i, at.text, targets);
    fputs("</table>\n</div>\n", out);
}
