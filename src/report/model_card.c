#include "pneumo/report/model_card.h"

#include "card_text.h"
#include "report_json.h"
#include "text_file.h"

#include <stdlib.h>
#include <string.h>

/* Numbers in headings are items of TRIPOD+AI. */

static const struct {
    const char *key, *title; /* in report.json; in the card */
} folds[] = {{"test", "test"}, {"val", "validation"}},
  shares[] = {{"sensitivity", "sensitivity (recall)"},
              {"specificity", "specificity"},
              {"accuracy", "accuracy"},
              {"balanced_accuracy", "balanced accuracy"},
              {"precision", "precision"},
              {"f1", "F1"}},
  causes[] = {{"NONE", "normal"},
              {"BACTERIA", "bacterial pneumonia"},
              {"VIRUS", "viral pneumonia"},
              {"UNKNOWN", "pneumonia of unknown cause"}},
  measures[] = {{"aspect", "width over height"}, {"area", "width times height, pixels"}},
  classes[] = {{"normal", "specificity"}, {"pneumonia", "sensitivity"}};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char *const thirds[] = {"lowest", "middle", "highest"};

/* Whether the patient of every image is known. */
static bool knows_patients(const pd_card *card)
{
    return pd_card_number(card, "unknown_patients") == 0;
}

/* Whether it is known which data set the model was trained on. It is not of an import. */
static bool knows_training(const pd_card *card)
{
    const cJSON *trained = pd_card_find(card, "data.trained_digest");
    return cJSON_IsString(trained) && trained->valuestring[0] != '\0';
}

/* Whether the figures are of the data set that the model was trained on. */
static bool is_own_data(const pd_card *card)
{
    const cJSON *trained = pd_card_find(card, "data.trained_digest");
    const cJSON *shown = pd_card_find(card, "data.digest");
    return cJSON_IsString(trained) && cJSON_IsString(shown) &&
           strcmp(trained->valuestring, shown->valuestring) == 0;
}

static bool is_average(const pd_card *card)
{
    return pd_card_number(card, "members") > 1;
}

/* The value of a job's key, up to the end of its line; "" if the settings do not have it. */
static const char *find_setting(const pd_card *card, const char *key)
{
    const cJSON *settings = pd_card_find(card, "settings");
    size_t length = strlen(key);
    const char *line = cJSON_IsString(settings) ? settings->valuestring : "";
    while (strncmp(line, key, length) != 0 || strncmp(line + length, " = ", 3) != 0) {
        line = strchr(line, '\n');
        if (line == NULL)
            return "";
        line++;
    }
    return line + length + 3;
}

/* Whether it is an average of parts of a cross-validation, shown with the folds of all of them:
 * none of their train folds is that of the average. */
static bool is_cross(const pd_card *card)
{
    return is_average(card) && is_own_data(card) && atoi(find_setting(card, "cross")) > 0;
}

/* Each line of a list of texts, as an item. */
static void put_lines(pd_card *card, const char *key)
{
    int count = cJSON_GetArraySize(pd_card_find(card, key));
    for (int i = 0; i < count; i++) {
        pd_card_set_scope(card, "%s.%d", key, i);
        pd_card_put(card, "- {.}\n");
    }
}

/* --- What it is for --- */

static void put_title(pd_card *card)
{
    pd_card_put(
        card,
        "# Model card: {job}\n\n"
        "A classifier that tells pneumonia from normal in frontal chest radiographs: network "
        "{model} with {parameters} parameters, evaluated with pneumo-dist {version}.\n\n"
        "Figures are those of `report.json`; intervals are 95 % intervals. The headings give the "
        "items of TRIPOD+AI that each section covers, with what CLAIM 2024 adds for images. What "
        "the program does not know is given as unknown: complete it before anyone "
        "else uses the model.\n");
}

static void put_use(pd_card *card)
{
    pd_card_put(card,
                "\n## Intended use (3, 4)\n\n"
                "- Use: research and teaching on frontal chest radiographs like those of the data "
                "below. The output is a probability of pneumonia.\n"
                "- Users: people who can judge a chest radiograph themselves.\n"
                "- Not intended: diagnosis, triage or any clinical decision. The program is not a "
                "medical device.\n"
                "- Not intended: other findings, other views, other modalities; images from other "
                "sites or scanners before the model is evaluated on images from there "
                "(`evaluate --data`, `calibrate`).\n"
                "- Place in a clinical pathway, benefit, known inequalities in care: unknown.\n");
}

/* --- The data --- */

static void put_fold_counts(pd_card *card)
{
    static const char *const names[] = {"TRAIN", "VAL", "TEST"};
    static const char *const titles[] = {"train", "validation", "test"};
    bool known = knows_patients(card);
    pd_card_put(card, known ? "\n| fold | normal | pneumonia | bacterial | viral | unknown cause | "
                              "patients |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
                            : "\n| fold | normal | pneumonia | bacterial | viral | unknown cause "
                              "|\n| --- | ---: | ---: | ---: | ---: | ---: |\n");
    for (size_t i = is_cross(card); i < COUNT(names); i++) {
        pd_card_set_scope(card, "data.folds.%s", names[i]);
        fprintf(card->out, "| %s", titles[i]);
        pd_card_put(card, " | {.NORMAL} | {.PNEUMONIA} | {.BACTERIA} | {.VIRUS} | {.UNKNOWN} |");
        pd_card_put(card, known ? " {.patients} |\n" : "\n");
    }
}

static void put_patients(pd_card *card)
{
    if (!knows_patients(card))
        pd_card_put(card, "- Patients: unknown for {unknown_patients} image{unknown_patients:s}, "
                          "so the figures are per image only.\n");
    else if (pd_card_number(card, "leaks") == 0)
        pd_card_put(card, "- Patients: known ({data.grouping}); none is in two folds.\n");
    else
        pd_card_put(card, "- Patients: known ({data.grouping}); {leaks} patient{leaks:s} with "
                          "images in more than one fold.\n");
}

static void put_training(pd_card *card)
{
    if (is_cross(card))
        pd_card_put(card, "- Training: each member on the images outside its part and the test "
                          "fold.\n");
    else if (is_own_data(card))
        pd_card_put(card, "- Training: the train fold of this data set.\n");
    else if (knows_training(card))
        pd_card_put(card, "- Training: another data set, digest {data.trained_digest}; its images "
                          "may be among those below.\n");
    else
        pd_card_put(card, "- Training: unknown; this data set may contain its images.\n");
}

static void put_data(pd_card *card)
{
    pd_card_put(card,
                "\n## Data (5 to 11, 16, 20)\n\n"
                "- Data set: {data.path}, digest {data.digest}, packed by pneumo-dist "
                "{data.version} with seed {data.seed}: {data.images} images of {data.width} x "
                "{data.height} grey pixels; {data.duplicates} exact duplicates were dropped.\n");
    put_training(card);
    pd_card_put(card, "- Folds: {data.fold_policy}.\n");
    put_patients(card);
    pd_card_put(card,
                "- Source, sites, dates, selection, scanners, treatment: unknown.\n"
                "- Ages, sexes and other traits of the people: unknown; the data set does not "
                "hold them.\n"
                "- Reference standard: the labels NORMAL and PNEUMONIA of the data set. Who "
                "assigned them, by which criteria and with what agreement: unknown.\n"
                "- Predictor: the image alone, resized to a square; names and headers are not "
                "used.\n"
                "- Sample size: all images of the data set; none was calculated.\n"
                "- Missing data: images without a label or that could not be read are not in the "
                "data set; how many: unknown.\n"
                "- Identity: the data set holds images, labels and file names, but no header of "
                "an image file. This card names no image.\n");
    put_fold_counts(card);
}

/* --- The model --- */

/* How long it was trained, and the epoch of the weights. An import has neither. */
static void put_epochs(pd_card *card)
{
    double epochs = pd_card_number(card, "epochs"), weights = pd_card_number(card, "weights_epoch");
    if (is_average(card))
        pd_card_put(card, "- Average of {members} models.\n");
    else if (weights > epochs)
        pd_card_put(card,
                    "- {epochs} epoch{epochs:s}; the weights are those of the middle of epoch "
                    "{weights_epoch}.\n");
    else if (epochs > 0)
        pd_card_put(card, weights == pd_card_number(card, "best_epoch")
                              ? "- {epochs} epoch{epochs:s}; the weights are those of epoch "
                                "{weights_epoch}, the best on the validation fold.\n"
                              : "- {epochs} epoch{epochs:s}; the weights are those of epoch "
                                "{weights_epoch}.\n");
}

static void put_seed(pd_card *card)
{
    if (is_average(card))
        pd_card_put(card, "- Seeds: those of the members.\n");
    else if (!knows_training(card))
        pd_card_put(card, "- Seed: unknown.\n");
    else if (strncmp(find_setting(card, "reduction"), "mpi", 3) == 0)
        pd_card_put(card,
                    "- Seed {seed}; {lanes} lanes. MPI summed the gradients (`run.reduction = "
                    "mpi`): other numbers of ranks give other weights.\n");
    else
        pd_card_put(card, "- Seed {seed}; {lanes} lanes. The same seed, settings and data give the "
                          "same weights on any number of ranks and threads of one kind of "
                          "processor.\n");
}

/* Known to the training only. */
static void put_hardware(pd_card *card)
{
    pd_card_put(card, pd_card_find(card, "seconds") == NULL
                          ? "- Hardware and duration of the training: unknown.\n"
                          : "- Hardware: {processor}; ranks {ranks}, threads per rank {threads}; "
                            "training took {seconds:t}, at {images_per_second:.1} images per "
                            "second.\n");
}

static void put_model(pd_card *card)
{
    pd_card_put(card, "\n## Model and training (12, 13, 15, 21, 22)\n\n"
                      "- Job {job}: network {model}, {parameters} parameters. ");
    pd_card_put(card,
                is_average(card) ? "The settings of the first member are at the end.\n"
                : knows_training(card)
                    ? "Its settings are at the end, class balance and first weights included.\n"
                    : "What is known of its settings is at the end.\n");
    put_epochs(card);
    put_seed(card);
    put_hardware(card);
    pd_card_put(card,
                "- Output: probability of pneumonia; temperature {decision.temperature:.4}, views "
                "averaged per image {decision.views}.\n"
                "- Threshold {decision.threshold:.4}: {decision.rule}.\n"
                "- Targets: sensitivity {targets.sensitivity:%}, specificity "
                "{targets.specificity:%}.\n"
                "- Band of doubt: probabilities from {decision.refer_low:.4} to "
                "{decision.refer_high:.4} are referred to a person.\n"
                "- Evaluations of the test fold");
    pd_card_put(card, is_own_data(card) ? "" : " of the training data");
    pd_card_put(card, " with these weights: {test_looks}. Each one that influences a choice makes "
                      "its figures optimistic.\n");
}

/* --- How well it works --- */

static void put_confusion(pd_card *card)
{
    pd_card_put(card,
                "\nAt the threshold: {.chosen.confusion.true_positive} pneumonias found, "
                "{.chosen.confusion.false_negative} missed; {.chosen.confusion.true_negative} "
                "normal images recognised, {.chosen.confusion.false_positive} taken for "
                "pneumonia. In the band of doubt: {.referred:f%}; accuracy of the others: "
                "{.decided:f%}.\n");
}

static void put_performance_row(const pd_card *card, const char *title, const char *key,
                                const char *format)
{
    static const char *const columns[] = {"chosen", "half", "patients"};
    char text[96];
    fprintf(card->out, "| %s |", title);
    for (size_t i = 0; i < COUNT(columns) - !knows_patients(card); i++) {
        snprintf(text, sizeof text, " {.%s.%s:f%s} |", columns[i], key, format);
        pd_card_put(card, text);
    }
    fputc('\n', card->out);
}

static void put_performance(pd_card *card, size_t fold)
{
    pd_card_set_scope(card, "folds.%s", folds[fold].key);
    if (pd_card_find(card, ".chosen") == NULL)
        return;
    fprintf(card->out, "\n### Figures of the %s fold\n\n", folds[fold].title);
    pd_card_put(card, "| figure | threshold {.chosen.threshold:.4} | threshold 0.5 |");
    pd_card_put(card, knows_patients(card) ? " patients |\n| --- | ---: | ---: | ---: |\n"
                                           : "\n| --- | ---: | ---: |\n");
    for (size_t i = 0; i < COUNT(shares); i++)
        put_performance_row(card, shares[i].title, shares[i].key, "%");
    put_performance_row(card, "AUC", "auc", ".4");
    put_confusion(card);
    if (pd_card_number(card, ".left_out") > 0)
        pd_card_put(card, knows_patients(card)
                              ? "\nImages left out, of patients with images that calibration used: "
                                "{.left_out}.\n"
                              : "\nImages left out, of groups with images that calibration used: "
                                "{.left_out}.\n");
}

static void put_calibration(pd_card *card, size_t fold)
{
    pd_card_set_scope(card, "folds.%s", folds[fold].key);
    if (pd_card_find(card, ".calibration") == NULL)
        return;
    fprintf(card->out, "\n### Calibration, %s fold\n\n", folds[fold].title);
    pd_card_put(card, "Brier score {.calibration.brier:.4}, expected calibration error "
                      "{.calibration.ece:.4}; before division by the temperature "
                      "{.uncalibrated.brier:.4} and {.uncalibrated.ece:.4}.\n\n"
                      "| probability | images | mean | pneumonia |\n"
                      "| --- | ---: | ---: | ---: |\n");
    int bins = cJSON_GetArraySize(pd_card_find(card, ".calibration.bins"));
    for (int i = 0; i < bins; i++) {
        pd_card_set_scope(card, "folds.%s.calibration.bins.%d", folds[fold].key, i);
        if (pd_card_number(card, ".count") > 0)
            pd_card_put(card, "| {.low:.2} to {.high:.2} | {.count} | {.mean_probability:.4} | "
                              "{.positive:f%} |\n");
    }
}

static void put_stress(pd_card *card, size_t fold)
{
    char key[64];
    pd_card_set_scope(card, "folds.%s.stress", folds[fold].key);
    if (pd_card_find(card, ".rows") == NULL)
        return;
    fprintf(card->out, "\n### Stress test, %s fold\n\n", folds[fold].title);
    pd_card_put(card, "{.images} of {.fold_images} images under each change, at the threshold. AUC "
                      "of all changed images together: {.pooled_auc:f.4}");
    pd_card_put(card,
                pd_card_find(card, ".worst") == NULL ? ".\n\n" : "; worst change: {.worst}.\n\n");
    int rows = cJSON_GetArraySize(pd_card_find(card, ".rows"));
    snprintf(key, sizeof key, "%s.verdict", card->scope);
    put_lines(card, key);
    pd_card_set_scope(card, "folds.%s.stress", folds[fold].key);
    if (pd_card_find(card, ".caveat") != NULL)
        pd_card_put(card, "\n{.caveat}\n");
    pd_card_put(card, "\n| change | images | AUC | sensitivity | specificity |\n"
                      "| --- | --- | ---: | ---: | ---: |\n");
    for (int i = 0; i < rows; i++) {
        pd_card_set_scope(card, "folds.%s.stress.rows.%d", folds[fold].key, i);
        pd_card_put(card, "| {.name} | {.phrase} | {.auc:f.4} | {.sensitivity:f%} | "
                          "{.specificity:f%} |\n");
    }
}

/* --- For whom it works --- */

static void put_causes(pd_card *card, size_t fold)
{
    for (size_t i = 0; i < COUNT(causes); i++) {
        pd_card_set_scope(card, "folds.%s.by_cause.%s", folds[fold].key, causes[i].key);
        if (pd_card_find(card, ".value") == NULL)
            continue;
        pd_card_set_scope(card, "folds.%s.by_cause", folds[fold].key);
        char text[64];
        snprintf(text, sizeof text, " {.%s:f%%} |\n", causes[i].key);
        fprintf(card->out, "| %s | %s |", folds[fold].title, causes[i].title);
        pd_card_put(card, text);
    }
}

static void put_thirds(pd_card *card, size_t fold, size_t measure, size_t label)
{
    for (size_t i = 0; i < COUNT(thirds); i++) {
        pd_card_set_scope(card, "folds.%s.shape.%s.%s.%s", folds[fold].key, measures[measure].key,
                          classes[label].key, thirds[i]);
        if (!(pd_card_number(card, ".count") > 0))
            continue;
        fprintf(card->out, "| %s | %s of %s images, %s third", folds[fold].title,
                classes[label].title, classes[label].key, thirds[i]);
        fprintf(card->out, " by %s", measures[measure].title);
        pd_card_put(card,
                    measure == 0 ? " ({.low:.2} to {.high:.2})" : " ({.low:.0} to {.high:.0})");
        pd_card_put(card, ", {.count} image{.count:s} | {.right:f%} |\n");
    }
}

static void put_subgroups(pd_card *card)
{
    pd_card_put(card, "\n### Subgroups (14)\n\n"
                      "Classified correctly at the threshold:\n\n"
                      "| fold | subgroup | correct |\n| --- | --- | ---: |\n");
    for (size_t fold = 0; fold < COUNT(folds); fold++) {
        put_causes(card, fold);
        for (size_t measure = 0; measure < COUNT(measures); measure++)
            for (size_t label = 0; label < COUNT(classes); label++)
                put_thirds(card, fold, measure, label);
    }
    pd_card_put(card,
                "\nBy age, sex, view, source and scanner: unknown; the data set does not hold "
                "them.\n");
}

/* --- What to know --- */

static void put_limitations(pd_card *card)
{
    pd_card_put(card, "\n## Limitations (25, 26)\n\n");
    put_lines(card, "warnings");
    if (is_own_data(card))
        pd_card_put(card, "- Images of the test fold come from the same data set as those of the "
                          "training: figures on images from elsewhere are usually lower.\n");
    pd_card_put(card,
                "- The stress test changes images by calculation; it does not replace images of "
                "other scanners.\n"
                "- Agreement with radiologists, effect on decisions and outcomes: unknown.\n");
}

static void put_usability(pd_card *card)
{
    pd_card_put(
        card,
        "\n## Use of the model (24, 27)\n\n"
        "- `predict` scores image files, and refers to a person what is in the band of "
        "doubt or is unlike the training images. A file that cannot be read gets an error.\n");
    for (size_t fold = 0; fold < COUNT(folds); fold++) {
        pd_card_set_scope(card, "folds.%s.outside", folds[fold].key);
        if (pd_card_find(card, ".count") == NULL)
            continue;
        pd_card_put(card, "- Unlike the training images: {.count} image{.count:s}");
        fprintf(card->out, " of the %s fold.\n", folds[fold].title);
    }
    pd_card_put(card, "- For another site: `calibrate` chooses a threshold on labelled images "
                      "from there.\n"
                      "- Needed skill: judging a chest radiograph. Training of users: unknown.\n");
}

static void put_ending(pd_card *card)
{
    pd_card_put(card,
                "\n## Open science (17 to 19)\n\n"
                "- Ethical approval, funding, conflicts of interest, protocol, registration, "
                "involvement of the public: unknown.\n"
                "- Data: digest {data.digest}. Code of the evaluation: pneumo-dist {version}.");
    pd_card_put(card, is_average(card)       ? " Seeds: those of the members.\n"
                      : knows_training(card) ? " Seed {seed}.\n"
                                             : " Seed: unknown.\n");
    pd_card_put(card, "\n## Checklists\n\n"
                      "- TRIPOD+AI: G. S. Collins et al., BMJ 2024;385:e078378, "
                      "doi:10.1136/bmj-2023-078378.\n"
                      "- CLAIM 2024: A. S. Tejani et al., Radiology: Artificial Intelligence "
                      "2024;6(4):e240300, doi:10.1148/ryai.240300.\n"
                      "\n## Settings\n\n");
    pd_card_put_code(card, "settings");
}

static pd_status put_card(FILE *out, const void *content)
{
    pd_card card = {.out = out, .root = content};
    put_title(&card);
    put_use(&card);
    put_data(&card);
    put_model(&card);
    pd_card_put(&card, "\n## Results (23)\n");
    for (size_t fold = 0; fold < COUNT(folds); fold++) {
        put_performance(&card, fold);
        put_calibration(&card, fold);
        put_stress(&card, fold);
    }
    if (pd_card_find(&card, "folds.val.stress") == NULL &&
        pd_card_find(&card, "folds.test.stress") == NULL)
        pd_card_put(&card, "\n### Stress test\n\nUnknown: none was run.\n");
    put_subgroups(&card);
    put_limitations(&card);
    put_usability(&card);
    put_ending(&card);
    return PD_OK;
}

pd_status pd_model_card_write(const char *path, const pd_results *results)
{
    cJSON *root = NULL;
    pd_status status = pd_report_json_create(&root, results);
    if (status != PD_OK)
        return pd_error_prefix(status, "%s", path);
    status = pd_text_file_write(path, put_card, root);
    cJSON_Delete(root);
    return status;
}
