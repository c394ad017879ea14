#include "pneumo/report/gallery.h"

#include "page.h"
#include "pneumo/base/memory.h"
#include "pneumo/evaluate/heatmap.h"

#include <math.h>
#include <stdlib.h>

/* The number of mistakes shown, and the side of both pictures of each, in pixels. */
enum { GALLERY_MOST = 12, PICTURE_SIDE = 224 };

/* Names are borrowed from the evaluation, pictures are owned. */
typedef struct gallery {
    int count;
    pd_page_mistake mistakes[GALLERY_MOST];
} gallery;

/* The model's confidence in a wrong decision, 0 to 1; negative if the decision is correct. */
static double wrongness(const pd_score *score, double threshold)
{
    bool called = score->probability >= threshold;
    if (called == (score->positive != 0))
        return -1;
    double far = fabs(score->probability - threshold);
    double room = called ? 1 - threshold : threshold;
    return room > 0 ? far / room : 0;
}

/* Stores the mistakes in worst[], most confident first, and returns their number. */
static int choose(const pd_results_fold *fold, const pd_score *worst[GALLERY_MOST])
{
    double threshold = fold->chosen.threshold;
    int count = 0;
    for (size_t i = 0; i < fold->score_count; i++) {
        double wrong = wrongness(&fold->scores[i], threshold);
        if (wrong < 0)
            continue;
        int place = count;
        while (place > 0 && wrongness(worst[place - 1], threshold) < wrong)
            place--;
        if (place == GALLERY_MOST)
            continue;
        if (count < GALLERY_MOST)
            count++;
        for (int j = count - 1; j > place; j--)
            worst[j] = worst[j - 1];
        worst[place] = &fold->scores[i];
    }
    return count;
}

static pd_status show(pd_page_mistake *out, pd_evaluation *evaluation, const pd_score *score)
{
    pd_status status = PD_OK;
    const pd_results *results = pd_evaluation_results(evaluation);
    const pd_dataset *dataset = pd_evaluation_dataset(evaluation);
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    pd_classifier *classifier = pd_evaluation_classifier(evaluation);
    pd_image image = {.height = info->height, .width = info->width};
    pd_heatmap heatmap = {0};
    pd_picture picture = {0};
    unsigned char *png = NULL;
    out->name = results->samples[score->id].name;
    out->label = results->samples[score->id].label;
    out->probability = score->probability;
    out->border = (double)NAN;
    if (!pd_classifier_has_heatmap(classifier))
        return PD_OK;
    PD_TRY(pd_alloc(&image.pixels, (size_t)info->height * (size_t)info->width, 1));
    PD_TRY(pd_dataset_read(dataset, &score->id, 1, image.pixels));
    PD_TRY(pd_classifier_heatmap(&heatmap, classifier, &image));
    PD_TRY(pd_heatmap_pair(&picture, &heatmap, &image, PICTURE_SIDE));
    PD_TRY(pd_picture_encode(&png, &out->picture_size, &picture));
    out->picture = png;
    out->border = heatmap.border;
cleanup:
    pd_picture_free(&picture);
    pd_heatmap_free(&heatmap);
    free(image.pixels);
    return status;
}

static void gallery_release(gallery *shown)
{
    for (int i = 0; i < shown->count; i++)
        free((unsigned char *)shown->mistakes[i].picture);
    *shown = (gallery){0};
}

static pd_status gallery_make(gallery *out, pd_evaluation *evaluation)
{
    pd_status status = PD_OK;
    const pd_results *results = pd_evaluation_results(evaluation);
    const pd_score *worst[GALLERY_MOST];
    *out = (gallery){0};
    int count = choose(results->test.present ? &results->test : &results->val, worst);
    for (; out->count < count; out->count++)
        PD_TRY(show(&out->mistakes[out->count], evaluation, worst[out->count]));
cleanup:
    if (status != PD_OK)
        gallery_release(out);
    return status;
}

pd_status pd_gallery_write_page(const char *path, pd_evaluation *evaluation)
{
    gallery shown;
    pd_status status = gallery_make(&shown, evaluation);
    if (status != PD_OK)
        return status;
    const pd_page page = {.results = pd_evaluation_results(evaluation),
                          .mistakes = shown.mistakes,
                          .mistake_count = shown.count};
    status = pd_page_write(path, &page);
    gallery_release(&shown);
    return status;
}
