#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/plot.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *draw(const pd_plot *plot)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    pd_plot_write(out, plot);
    fclose(out);
    return text;
}

static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static pd_plot make_plot(const pd_plot_mark *marks, size_t count)
{
    return (pd_plot){"a <plot>", {"across", 0, 1, false}, {"up", 0, 1, false}, marks, count};
}

static void test_svg_is_fit_for_a_page(void **state)
{
    (void)state;
    const pd_plot_point points[] = {{0.1, 0.2}, {0.5, 0.9}, {0.8, 0.4}};
    const pd_plot_mark marks[] = {{PD_PLOT_LINE, PD_PLOT_FIRST, points, 3},
                                  {PD_PLOT_DOTS, PD_PLOT_SECOND, points, 3},
                                  {PD_PLOT_DASHES, PD_PLOT_THIRD, points, 3},
                                  {PD_PLOT_BOXES, PD_PLOT_BAND, points, 2}};
    pd_plot plot = make_plot(marks, 4);
    char *svg = draw(&plot);
    assert_true(strncmp(svg, "<svg viewBox=\"0 0 ", 18) == 0);
    assert_string_equal(svg + strlen(svg) - 7, "</svg>\n");
    assert_int_equal(occurrences(svg, "<svg"), 1);
    assert_non_null(strstr(svg, "aria-label=\"a &lt;plot&gt;\""));
    for (int i = 0; i < PD_PLOT_COLOURS; i++) {
        char name[32];
        snprintf(name, sizeof name, "var(--plot-%s)", pd_plot_colour_names[i]);
        if (i == PD_PLOT_MUTED || i == PD_PLOT_FOURTH)
            assert_null(strstr(svg, name));
        else
            assert_non_null(strstr(svg, name));
    }
    /* No fixed colour, no prolog, no id that another plot could have too, no request. */
    const char *const strangers[] = {"\"#", "<?", "<!", " id=", "url(", "href", "http", "\n "};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (strstr(svg, strangers[i]))
            fail_msg("'%s' in %s", strangers[i], svg);
    free(svg);
}

/* A drawing depends only on its plot, not on earlier ones. */
static void test_drawing_repeats(void **state)
{
    (void)state;
    const pd_plot_point points[] = {{0.1, 0.2}, {0.5, 0.9}};
    const pd_plot_mark dashes = {PD_PLOT_DASHES, PD_PLOT_FIRST, points, 2};
    const pd_plot_mark line = {PD_PLOT_LINE, PD_PLOT_FIRST, points, 2};
    pd_plot first = make_plot(&line, 1), other = make_plot(&dashes, 1);
    other.y = (pd_plot_axis){"log", 0.5, 2000, true};
    char *before = draw(&first), *between = draw(&other), *after = draw(&first);
    assert_string_equal(before, after);
    assert_string_not_equal(before, between);
    free(before);
    free(between);
    free(after);
}

/* A line is interrupted where a point is not finite, and a dot or box left out. */
static void test_gaps(void **state)
{
    (void)state;
    const pd_plot_point whole[] = {{0.1, 0.1}, {0.2, 0.5}, {0.3, 0.3}, {0.4, 0.6}};
    const pd_plot_point gaps[] = {{0.1, 0.1}, {0.2, 0.5}, {NAN, 0}, {0.3, 0.3}, {0.4, 0.6}};
    const pd_plot_point nothing[] = {{NAN, 0.5}, {0.5, INFINITY}, {-INFINITY, 0.2}, {0.1, 0.1}};
    const char *colour = "stroke=\"var(--plot-first)\"", *fill = "fill=\"var(--plot-first)\"";

    pd_plot_mark mark = {PD_PLOT_LINE, PD_PLOT_FIRST, whole, 4};
    pd_plot plot = make_plot(&mark, 1);
    char *svg = draw(&plot);
    assert_int_equal(occurrences(svg, colour), 1);
    free(svg);
    mark.points = gaps;
    mark.count = 5;
    svg = draw(&plot);
    assert_int_equal(occurrences(svg, colour), 2);
    free(svg);
    mark = (pd_plot_mark){PD_PLOT_DOTS, PD_PLOT_FIRST, nothing, 4};
    svg = draw(&plot);
    assert_int_equal(occurrences(svg, fill), 1);
    free(svg);
    mark = (pd_plot_mark){PD_PLOT_BOXES, PD_PLOT_FIRST, nothing, 4};
    svg = draw(&plot);
    assert_int_equal(occurrences(svg, fill), 0);
    free(svg);
}

static void test_odd_axes(void **state)
{
    (void)state;
    const pd_plot_point points[] = {{0, 0}, {1e300, -1e300}, {1, 1}, {-5, 0.5}};
    const pd_plot_axis axes[] = {{"", 0, 1e-12, false},   {"large", -1e12, 1e12, false},
                                 {"log", 1e-3, 1, true},  {"log", 0.5, 2, true},
                                 {"log", 0.5, 4e9, true}, {"far", 1e6, 1e6 + 1, false}};
    const pd_plot_mark marks[] = {{PD_PLOT_LINE, PD_PLOT_FIRST, points, 4},
                                  {PD_PLOT_DOTS, PD_PLOT_FIRST, points, 4},
                                  {PD_PLOT_BOXES, PD_PLOT_FIRST, points, 4},
                                  {PD_PLOT_LINE, PD_PLOT_FIRST, NULL, 0}};
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) {
        pd_plot plot = {"odd", axes[i], axes[(i + 1) % 6], marks, 4};
        char *svg = draw(&plot);
        assert_null(strstr(svg, "nan"));
        assert_null(strstr(svg, "inf"));
        free(svg);
    }
}

/* The polylines of the first colour, which are clipped to the axes. */
static void test_clipping(void **state)
{
    (void)state;
    const pd_plot_point across[] = {{-1, 0.5}, {2, 0.5}}, past[] = {{-1, 0.5}, {0.5, 2}};
    const pd_plot_point out_and_in[] = {{0.2, 0.5}, {0.4, 3}, {0.6, 0.5}, {0.8, 0.5}};
    const char *colour = "stroke=\"var(--plot-first)\"", *fill = "fill=\"var(--plot-first)\"";
    pd_plot_mark mark = {PD_PLOT_LINE, PD_PLOT_FIRST, across, 2};
    pd_plot plot = make_plot(&mark, 1);
    char *svg = draw(&plot);
    assert_non_null(strstr(svg, "points=\"64.00,113.40 313.60,113.40\""));
    free(svg);
    mark.points = past;
    svg = draw(&plot);
    assert_int_equal(occurrences(svg, colour), 0);
    free(svg);
    mark.points = out_and_in;
    mark.count = 4;
    svg = draw(&plot);
    assert_int_equal(occurrences(svg, colour), 2); /* the second has the last two segments */
    free(svg);
    mark = (pd_plot_mark){PD_PLOT_DOTS, PD_PLOT_FIRST, across, 2};
    svg = draw(&plot);
    assert_int_equal(occurrences(svg, fill), 0);
    free(svg);
    mark.shape = PD_PLOT_BOXES;
    mark.points = (const pd_plot_point[]){{-1, 0.25}, {2, 0.5}};
    svg = draw(&plot);
    assert_non_null(
        strstr(svg, "<rect x=\"64.00\" y=\"113.40\" width=\"249.60\" height=\"52.65\""));
    free(svg);
}

static void test_ticks(void **state)
{
    (void)state;
    const struct {
        pd_plot_axis axis;
        const char *ticks[8], *absent[2];
    } cases[] = {
        {{"shares", -0.02, 1.02, false}, {"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}, {"1.2"}},
        {{"signs", -0.3, 0.3, false}, {"-0.3", "-0.2", "-0.1", "0.0", "0.1"}, {"-0.0"}},
        {{"epochs", 0.5, 4.5, false}, {"1", "2", "3", "4"}, {"5", "0"}},
        {{"tiny", 0, 1e-12, false}, {"0", "2e-13", "8e-13", "1e-12"}, {"0.0"}},
        {{"large", -1e12, 1e12, false}, {"-1e+12", "-5e+11", "0", "1e+12"}, {"0.0"}},
        {{"count", 0.5, 2000, true}, {"1", "10", "100", "1000"}, {"0.1", "10000"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_plot plot = {"ticks", cases[i].axis, cases[0].axis, NULL, 0};
        plot.y.low = 1e6; /* labels that no case has */
        plot.y.high = 1e6 + 1;
        char *svg = draw(&plot), text[32];
        for (int t = 0; t < 8 && cases[i].ticks[t] != NULL; t++) {
            snprintf(text, sizeof text, ">%s<", cases[i].ticks[t]);
            if (strstr(svg, text) == NULL)
                fail_msg("%s: no tick %s in %s", cases[i].axis.label, text, svg);
        }
        for (int t = 0; t < 2 && cases[i].absent[t] != NULL; t++) {
            snprintf(text, sizeof text, ">%s<", cases[i].absent[t]);
            if (strstr(svg, text) != NULL)
                fail_msg("%s: tick %s in %s", cases[i].axis.label, text, svg);
        }
        free(svg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_svg_is_fit_for_a_page),
        cmocka_unit_test(test_drawing_repeats),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_odd_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
