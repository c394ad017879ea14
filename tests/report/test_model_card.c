#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/text.h"
#include "pneumo/io/file.h"
#include "pneumo/report/model_card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* tests/cli/test_model_card.sh compares all figures of real cards with report.json. */

static const char path[] = "test_card.md";

static pd_results make_results(void)
{
    pd_results results = {.job_name = "first",
                          .model = "cnn",
                          .data_path = "data/chest.h5",
                          .data_digest = "00112233445566778899aabbccddeeff",
                          .trained_digest = "00112233445566778899aabbccddeeff",
                          .version = "0.1.0",
                          .settings = "[model]\nname = cnn\n",
                          .seed = UINT64_MAX,
                          .parameters = INT64_C(9007199254740993),
                          .members = 1,
                          .best_epoch = 3,
                          .weights_epoch = 4,
                          .epochs = 5,
                          .seconds = 1234.5,
                          .images_per_second = 1.0 / 3,
                          .decision_rule = "sensitivity of at least 96 %",
                          .temperature = 1.0 / 0.7,
                          .test_looks = 1,
                          .data = {.count = 600, .grouping = "patient by file name"},
                          .patients = {211, 22, 33},
                          .causes = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}},
                          .test = {.present = true}};
    results.test.chosen = (pd_metrics){.threshold = 0.25,
                                       .confusion = {11, 12, 13, 14},
                                       .sensitivity = {0.94949, 0.9, 0.99},
                                       .specificity = {NAN, NAN, NAN},
                                       .auc = {0.98765, NAN, NAN}};
    return results;
}

/* The card's text (free()): UTF-8, without control characters and undefined numbers. */
static char *write_card(const pd_results *results)
{
    unsigned char *bytes = NULL;
    size_t size;
    if (pd_model_card_write(path, results) != PD_OK)
        fail_msg("%s", pd_error_message());
    assert_int_equal(pd_file_read(&bytes, &size, path, 1 << 20), PD_OK);
    assert_int_equal(strlen((char *)bytes), size);
    unlink(path);
    for (const char *at = (char *)bytes; *at; at += pd_text_character_size(at)) {
        assert_int_not_equal(pd_text_character_size(at), 0);
        assert_true(*at == '\n' || !pd_text_is_control(at));
    }
    assert_null(strstr((char *)bytes, "nan"));
    assert_null(strstr((char *)bytes, "null"));
    return (char *)bytes;
}

static void check_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("the card has no '%s': %s", part, text);
}

static void test_figures(void **state)
{
    (void)state;
    pd_results results = make_results();
    char *card = write_card(&results);
    check_has(card, "\n- Seed 18446744073709551615; ");
    check_has(card, " 9007199254740993 parameters");
    check_has(card, "| sensitivity (recall) | 94.9 % (90.0 to 99.0) |");
    check_has(card, "| specificity | unknown |");
    check_has(card, "| AUC | 0.9877 (interval unknown) |");
    check_has(card, "training took 20 min 35 s, at 0.3 images per second");
    check_has(card, "\n- Hardware: unknown; ");
    check_has(card, "| test | 0 | 0 | 10 | 11 | 12 | 33 |\n");
    check_has(card, "none is in two folds");
    check_has(card, "\n## Settings\n\n    [model]\n    name = cnn\n");
    check_has(card, "\n- Evaluations of the test fold with these weights: 1. ");
    free(card);
    results.trained_digest = "another";
    card = write_card(&results);
    check_has(card,
              "\n- Evaluations of the test fold of the training data with these weights: 1. ");
    free(card);
    results.leaks = 1;
    card = write_card(&results);
    check_has(card, "; 1 patient with images in more than one fold.\n");
    free(card);
}

/* The epoch of the weights, and what only the training knows. */
static void test_training(void **state)
{
    (void)state;
    static const struct {
        int64_t epochs, weights, best;
        const char *line; /* NULL: none */
    } table[] = {
        {5, 5, 5,
         "\n- 5 epochs; the weights are those of epoch 5, the best on the validation fold.\n"},
        {5, 4, 4,
         "\n- 5 epochs; the weights are those of epoch 4, the best on the validation fold.\n"},
        {5, 5, 4, "\n- 5 epochs; the weights are those of epoch 5.\n"},
        {4, 5, 3, "\n- 4 epochs; the weights are those of the middle of epoch 5.\n"},
        {1, 1, 1,
         "\n- 1 epoch; the weights are those of epoch 1, the best on the validation fold.\n"},
        {0, 0, 0, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        pd_results results = make_results();
        results.epochs = table[i].epochs;
        results.weights_epoch = table[i].weights;
        results.best_epoch = table[i].best;
        char *card = write_card(&results);
        if (table[i].line != NULL)
            check_has(card, table[i].line);
        else
            assert_null(strstr(card, "epochs;"));
        free(card);
    }
    pd_results results = make_results();
    results.seconds = results.images_per_second = NAN;
    char *card = write_card(&results);
    assert_null(strstr(card, "- Hardware:"));
    assert_null(strstr(card, "took"));
    check_has(card, "\n- Hardware and duration of the training: unknown.\n");
    free(card);
}

/* What is said of the training, its seed and its images. */
static void test_origin(void **state)
{
    (void)state;
    pd_results results = make_results();
    char *card = write_card(&results);
    check_has(card, "\n- Training: the train fold of this data set.\n");
    check_has(card, " parameters. Its settings are at the end, class balance and ");
    check_has(card, " lanes. The same seed, settings and data give the same weights");
    check_has(card, "| train | ");
    free(card);
    results.settings = "[run]\nseed = 1\nreduction = mpi\n\n[data]\ncross = 5\n";
    card = write_card(&results);
    check_has(card, "(`run.reduction = mpi`): other numbers of ranks give other weights.\n");
    assert_null(strstr(card, "on any number of ranks"));
    check_has(card, "| train | "); /* of a single part */
    free(card);
    results.members = 5;
    card = write_card(&results);
    check_has(card,
              "\n- Training: each member on the images outside its part and the test fold.\n");
    check_has(card, " parameters. The settings of the first member are at the end.\n");
    check_has(card, "\n- Seeds: those of the members.\n");
    check_has(card, "0.1.0. Seeds: those of the members.\n");
    assert_null(strstr(card, "| train | "));
    check_has(card, "| validation | ");
    free(card);
    results.members = 1;
    results.trained_digest = "";
    card = write_card(&results);
    check_has(card, "\n- Training: unknown; this data set may contain its images.\n");
    check_has(card, " parameters. What is known of its settings is at the end.\n");
    check_has(card, "\n- Seed: unknown.\n");
    check_has(card, "0.1.0. Seed: unknown.\n");
    check_has(card, "\n- Evaluations of the test fold of the training data with these weights: "
                    "unknown. ");
    free(card);
}

static void test_unknown_patients(void **state)
{
    (void)state;
    pd_results results = make_results();
    results.unknown_patients = 41;
    char *card = write_card(&results), *line = NULL, *rest = card;
    check_has(card, "- Patients: unknown for 41 images");
    while ((line = strsep(&rest, "\n")) != NULL) {
        if ((strstr(line, "patient") || strstr(line, "Patient")) && !strstr(line, "unknown"))
            fail_msg("it speaks of patients: %s", line);
        assert_null(strstr(line, "211"));
    }
    free(card);
}

/* Texts stay within their line, their cell and their block, and are no markup. */
static void test_hostile_texts(void **state)
{
    (void)state;
    const char *const texts[] = {
        "<script>alert(1)</script>",    "a | b | c",
        "x\n\n# Heading\n\n```\n",      "[a](http://x.invalid) ![b](c) `d` *e* _f_",
        "R\xf6ntgen \xe8\x83 \xff\x80", "\x01\x1b[31m\x7f line\r\nbreak",
        "{job} {data.digest:%}",        "",
    };
    pd_results plain = make_results();
    char *expected = write_card(&plain);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pd_results results = make_results();
        results.job_name = results.model = results.data_path = results.version = texts[i];
        results.decision_rule = results.settings = texts[i];
        snprintf(results.data.fold_policy, sizeof results.data.fold_policy, "%s", texts[i]);
        snprintf(results.data.grouping, sizeof results.data.grouping, "%s", texts[i]);
        snprintf(results.processor, sizeof results.processor, "%s", texts[i]);
        char *card = write_card(&results), *settings = strstr(card, "\n## Settings\n");
        assert_non_null(settings);
        int lines = 0, cells = 0, expected_lines = 0, expected_cells = 0;
        for (const char *at = card; at < settings; at++) {
            lines += *at == '\n';
            cells += *at == '|' && at[-1] != '\\';
            assert_false(strchr("<`[", *at) && at[-1] != '\\' && strchr(texts[i], *at) &&
                         !strncmp(at, texts[i], 2));
        }
        for (const char *at = expected; at < strstr(expected, "\n## Settings\n"); at++) {
            expected_lines += *at == '\n';
            expected_cells += *at == '|';
        }
        assert_int_equal(lines, expected_lines);
        assert_int_equal(cells, expected_cells);
        for (char *at = settings + 14; (at = strchr(at, '\n')) != NULL && at[1]; at++)
            assert_true(at[1] == '\n' || strncmp(at, "\n    ", 5) == 0);
        free(card);
    }
    free(expected);
}

static void test_nothing_known(void **state)
{
    (void)state;
    pd_results results = {.seconds = NAN, .images_per_second = NAN, .temperature = NAN};
    char *card = write_card(&results);
    check_has(card, "# Model card: unknown\n");
    check_has(card, "- Threshold unknown: ");
    check_has(card, "## Settings\n\nUnknown.\n");
    assert_null(strstr(card, "### Figures"));
    free(card);
}

static void test_unwritable(void **state)
{
    (void)state;
    pd_results results = make_results();
    assert_int_equal(pd_model_card_write("no/such/folder/card.md", &results), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no/such/folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures),       cmocka_unit_test(test_unknown_patients),
        cmocka_unit_test(test_hostile_texts), cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_unwritable),    cmocka_unit_test(test_training),
        cmocka_unit_test(test_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
