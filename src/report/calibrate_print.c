#include "pneumo/report/calibrate_print.h"

#include "pneumo/base/text.h"
#include "pneumo/data/patient.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

/* A name in 14 columns, then cells of 24 after a gap of 2. */
enum { CELL = 24 };

static void print_cell(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void print_cell(FILE *out, const char *format, ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(out, "  %*s", CELL, text);
}

static void print_figure(FILE *out, pd_figure figure)
{
    if (isnan(figure.value))
        print_cell(out, "-");
    else
        print_cell(out, "%.1f %% [%5.1f, %5.1f]", 100 * figure.value, 100 * figure.low,
                   100 * figure.high);
}

static void print_decisions(FILE *out, const pd_decision *before, const pd_decision *after)
{
    fprintf(out, "  %-12s", "threshold");
    print_cell(out, "%.6f", before->threshold);
    print_cell(out, "%.6f", after->threshold);
    fprintf(out, "\n  %-12s", "temperature");
    print_cell(out, "%.4f", before->temperature);
    print_cell(out, "%.4f", after->temperature);
    fprintf(out, "\n  %-12s", "in doubt");
    print_cell(out, "%.6f to %.6f", before->refer_low, before->refer_high);
    print_cell(out, "%.6f to %.6f", after->refer_low, after->refer_high);
    fputc('\n', out);
}

static void print_row(FILE *out, const char *name, pd_figure before, pd_figure after,
                      pd_figure held_out)
{
    fprintf(out, "  %-12s", name);
    print_figure(out, before);
    print_figure(out, after);
    print_figure(out, held_out);
    fputc('\n', out);
}

static void print_images(FILE *out, const pd_calibrate_result *result)
{
    fprintf(out, "images: %s: %" PRId64 " normal and %" PRId64 " pneumonia", result->source,
            result->images[PD_NORMAL], result->images[PD_PNEUMONIA]);
    if (result->unknown_patients == 0)
        fprintf(out, ", of %" PRId64 " patients (%s)\n", result->patients, result->grouping);
    else
        fprintf(out,
                "; in the whole source the patient of %" PRId64
                " image%s is unknown: where images are "
                "of one patient, the intervals are too narrow\n",
                result->unknown_patients, pd_text_plural(result->unknown_patients));
    if (result->duplicates > 0)
        fprintf(out, "exact duplicates left out: %" PRId64 "\n", result->duplicates);
    if (result->bad > 0)
        fprintf(out, "unreadable files left out: %" PRId64 "\n", result->bad);
    fprintf(out, "rule: %s\n", result->after.rule);
}

/* The width of the intervals, and how many more images make them narrow enough. */
static void print_width(FILE *out, const char *name, const char *class, pd_figure figure,
                        int64_t images)
{
    int64_t more = pd_wilson_trials(figure.value, PD_CALIBRATE_HALF_WIDTH) - images;
    fprintf(out, "%s: the interval is +-%.1f points; ", name, 100 * (figure.high - figure.low) / 2);
    if (more > 0)
        fprintf(out, "%" PRId64 " more %s images would bring it under +-%g points\n", more, class,
                100 * PD_CALIBRATE_HALF_WIDTH);
    else
        fprintf(out, "that is under +-%g points\n", 100 * PD_CALIBRATE_HALF_WIDTH);
}

void pd_calibrate_print(FILE *out, const pd_calibrate_result *result)
{
    const pd_metrics *before = &result->judged_before, *after = &result->judged_after;
    bool crossed = result->parts > 1, known = result->unknown_patients == 0;
    const pd_metrics *honest = crossed ? &result->held_out : after;
    print_images(out, result);
    fprintf(out, "\n  %-12s  %*s  %*s  %*s\n", "", CELL, "before", CELL, "after", CELL,
            "cross-validated");
    print_decisions(out, &result->before, &result->after);
    print_row(out, "sensitivity", before->sensitivity, after->sensitivity,
              result->held_out.sensitivity);
    print_row(out, "specificity", before->specificity, after->specificity,
              result->held_out.specificity);
    fputs("\n'after' is evaluated on the images that it was chosen on, which is optimistic.\n",
          out);
    if (result->before_images > 0)
        fprintf(out, "'before' was chosen on %" PRId64 " of these images, too.\n",
                result->before_images);
    if (crossed)
        fprintf(
            out,
            "'cross-validated' estimates the figures on other images of this site: %d parts%s,\n"
            "each classified with a decision made on the other parts.\n",
            result->parts, known ? " of whole patients" : "");
    else
        fprintf(out,
                "There is no cross-validation: it needs two %s with pneumonia images, and two with "
                "only\nnormal images.\n",
                pd_patients_noun(result->unknown_patients));
    fprintf(out, "In brackets: Wilson's 95 %% interval. At the rates of '%s':\n",
            crossed ? "cross-validated" : "after");
    print_width(out, "sensitivity", "pneumonia", honest->sensitivity, result->images[PD_PNEUMONIA]);
    print_width(out, "specificity", "normal", honest->specificity, result->images[PD_NORMAL]);
    if (known && result->patients < result->images[PD_NORMAL] + result->images[PD_PNEUMONIA])
        fputs("Images of one patient are counted as independent: with several images per patient,\n"
              "these intervals are too narrow and more images are needed.\n",
              out);
}
