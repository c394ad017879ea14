#include "inspect.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/data/patient.h"
#include "pneumo/io/dataset.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int compare_patients(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Prints a line of the table: the samples of that fold and label, -1 standing for any. patients[]
 * is scratch for one entry per sample. */
static void print_samples(const pd_dataset *dataset, int fold, int label, int32_t *patients)
{
    const pd_sample *samples = pd_dataset_samples(dataset);
    int64_t total = pd_dataset_get_info(dataset)->count;
    int64_t causes[PD_CAUSES] = {0};
    int64_t images = 0, distinct = 0;
    for (int64_t i = 0; i < total; i++) {
        if ((fold >= 0 && (int)samples[i].fold != fold) ||
            (label >= 0 && (int)samples[i].label != label))
            continue;
        causes[samples[i].cause]++;
        patients[images++] = samples[i].patient;
    }
    qsort(patients, (size_t)images, sizeof *patients, compare_patients);
    for (int64_t i = 0; i < images; i++)
        distinct += i == 0 || patients[i] != patients[i - 1];
    printf("  %-5s  %-9s  %8" PRId64 "  %8" PRId64, fold < 0 ? "all" : pd_fold_names[fold],
           label < 0 ? "all" : pd_label_names[label], images, distinct);
    for (int cause = 0; cause < PD_CAUSES; cause++)
        printf("  %8" PRId64, causes[cause]);
    putchar('\n');
}

/* Prints the range of the shapes that the images had before packing. */
static void print_shapes(const pd_dataset *dataset)
{
    const pd_sample *samples = pd_dataset_samples(dataset);
    int64_t total = pd_dataset_get_info(dataset)->count;
    pd_sample least = samples[0], most = samples[0];
    for (int64_t i = 1; i < total; i++) {
        const pd_sample *s = &samples[i];
        least.height = s->height < least.height ? s->height : least.height;
        least.width = s->width < least.width ? s->width : least.width;
        most.height = s->height > most.height ? s->height : most.height;
        most.width = s->width > most.width ? s->width : most.width;
    }
    if (least.height == 0)
        pd_inspect_text("packed from", "images of unknown height and width");
    else if (least.height == most.height && least.width == most.width)
        printf("  %-14s images of %d x %d pixels, all of them\n", "packed from", least.width,
               least.height);
    else
        printf("  %-14s images of %d to %d pixels wide, %d to %d high\n", "packed from",
               least.width, most.width, least.height, most.height);
}

pd_status pd_inspect_dataset(const char *path)
{
    pd_status status = PD_OK;
    pd_dataset *dataset = NULL;
    int32_t *patients = NULL;
    int64_t unknown;
    PD_TRY(pd_dataset_open(&dataset, path));
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    PD_TRY(pd_patients_unknown(&unknown, dataset));
    PD_TRY(pd_alloc(&patients, (size_t)info->count, sizeof *patients));

    pd_inspect_heading(path, "data set");
    printf("  %-14s %" PRId64 " of %d x %d pixels, grey\n", "images", info->count, info->width,
           info->height);
    print_shapes(dataset);
    pd_inspect_text("folds", info->fold_policy);
    pd_inspect_text("patients", info->grouping);
    if (unknown > 0)
        printf("  %-14s the patient of %" PRId64 " image%s is unknown\n", "", unknown,
               pd_text_plural(unknown));
    printf("  %-14s %" PRIu64 "\n", "seed", info->seed);
    printf("  %-14s %" PRId64 " dropped\n", "duplicates", info->duplicates);
    printf("  %-14s mean %.2f, deviation %.2f, of the train fold, 0 to 255\n", "pixels", info->mean,
           info->deviation);
    pd_inspect_text("digest", info->digest);
    pd_inspect_text("written by", info->version);

    printf("\n  %-5s  %-9s  %8s  %8s", "fold", "label", "images", pd_patients_noun(unknown));
    for (int cause = 0; cause < PD_CAUSES; cause++)
        printf("  %8s", pd_cause_names[cause]);
    putchar('\n');
    for (int fold = 0; fold < PD_FOLDS; fold++) {
        for (int label = 0; label < PD_LABELS; label++)
            print_samples(dataset, fold, label, patients);
    }
    print_samples(dataset, -1, -1, patients);

cleanup:
    free(patients);
    pd_dataset_destroy(&dataset);
    return status;
}
