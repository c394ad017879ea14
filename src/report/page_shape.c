#include "html.h"
#include "page_fold.h"
#include "page_parts.h"

static const struct {
    const char *title, *range;
    double scale;
    int decimals;
    const char *against, *along; /* normal images of the one end, pneumonias of the other */
} shape_measures[PD_SHAPE_MEASURES] = {
    {"width over height", "range", 1, 2, "wide normal, narrow pneumonia",
     "narrow normal, wide pneumonia"},
    {"width times height", "megapixels", 1e-6, 3, "large normal, small pneumonia",
     "small normal, large pneumonia"}};

/* The row of a third: its range, its images, the share classified correctly. */
static void write_third(FILE *out, const pd_shape_third *third, int measure, const char *title,
                        const char *at)
{
    double scale = shape_measures[measure].scale;
    int decimals = shape_measures[measure].decimals;
    pd_page_key right = pd_page_key_of(at, "right");
    fprintf(out, "<tr><th scope=\"row\">%s</th><td>", title);
    pd_page_put_number(out, third->low, scale, decimals, pd_page_key_of(at, "low").text);
    fputs("–", out);
    pd_page_put_number(out, third->high, scale, decimals, pd_page_key_of(at, "high").text);
    fputs("</td><td>", out);
    pd_page_put_count(out, third->count, pd_page_key_of(at, "count").text);
    fputs("</td><td><b>", out);
    pd_page_put_percent(out, third->right.value, pd_page_key_of(right.text, "value").text);
    fputs("</b></td><td>", out);
    pd_page_put_interval(out, &third->right, right.text);
    fputs("</td></tr>\n", out);
}

static void write_shape_class(FILE *out, const pd_shape_class *group, int measure, int label,
                              const char *at)
{
    static const char *const titles[PD_LABELS] = {"Specificity", "Sensitivity"};
    const char *const columns[] = {shape_measures[measure].range, "n", "%", "95&nbsp;% interval",
                                   NULL};
    pd_page_key correlation = pd_page_key_of(at, "correlation");
    fprintf(out, "<section class=\"card\">\n<h4>%s by %s</h4>\n", titles[label],
            shape_measures[measure].title);
    pd_page_open_table(out, columns);
    for (int i = 0; i < PD_SHAPE_THIRDS; i++)
        write_third(out, &group->thirds[i], measure, pd_shape_third_names[i],
                    pd_page_key_of(at, pd_shape_third_names[i]).text);
    fputs("</table>\n<p class=\"soft\">Difference between the thirds: p&nbsp;=&nbsp;", out);
    pd_page_put_number(out, group->p, 1, 4, pd_page_key_of(at, "p").text);
    fputs(", adjusted for all such tests of the fold. Rank correlation with the probability ", out);
    pd_page_put_number(out, group->correlation.value, 1, 2,
                       pd_page_key_of(correlation.text, "value").text);
    fputs(" (95&nbsp;% interval ", out);
    pd_page_put_number(out, group->correlation.low, 1, 2,
                       pd_page_key_of(correlation.text, "low").text);
    fputs(" to ", out);
    pd_page_put_number(out, group->correlation.high, 1, 2,
                       pd_page_key_of(correlation.text, "high").text);
    fputs(").</p>\n</section>\n", out);
}

/* The AUC where the shape suggests the wrong class and where it suggests the right one, or the
 * reverse. */
static void write_crossed(FILE *out, const pd_results_fold *fold, int measure, const char *fold_at,
                          const char *at)
{
    const pd_shape_figures *of_measure = &fold->shape.measures[measure];
    fputs("<section class=\"card\">\n<h4>AUC of the outer thirds</h4>\n", out);
    pd_page_open_table(out, pd_page_figure_columns);
    pd_page_open_figure_row(out, "all images", &fold->chosen.auc,
                            pd_page_key_of(pd_page_key_of(fold_at, "chosen").text, "auc").text);
    fputs("</tr>\n", out);
    pd_page_open_figure_row(out, shape_measures[measure].against, &of_measure->auc_high_normal,
                            pd_page_key_of(at, "auc_high_normal").text);
    fputs("</tr>\n", out);
    pd_page_open_figure_row(out, shape_measures[measure].along, &of_measure->auc_low_normal,
                            pd_page_key_of(at, "auc_low_normal").text);
    fputs("</tr>\n</table>\n</section>\n", out);
}

void pd_page_write_shape(FILE *out, const pd_results_fold *fold, const char *fold_at)
{
    if (!fold->shape.known)
        return;
    fputs("<h3>Shape and size of the images</h3>\n", out);
    pd_html_element(
        out, "p class=\"soft note\"",
        "Every image is resized to a square, from which a model can still tell how "
        "wide or how large the original was. Where classes differ in that it can be a shortcut. "
        "Within a class it should make no difference: the tables show thirds of each class, of "
        "n images, at the threshold in use. A model that uses the shape ranks images worse where "
        "the shape suggests the other class.");
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        const pd_shape_figures *of_measure = &fold->shape.measures[measure];
        pd_page_key at =
            pd_page_key_of(pd_page_key_of(fold_at, "shape").text, pd_shape_measure_names[measure]);
        if (!of_measure->known)
            continue;
        fputs("\n<div class=\"grid\">\n", out);
        for (int label = 0; label < PD_LABELS; label++)
            write_shape_class(out, &of_measure->classes[label], measure, label,
                              pd_page_key_of(at.text, pd_shape_class_names[label]).text);
        write_crossed(out, fold, measure, fold_at, at.text);
        fputs("</div>\n", out);
    }
}
