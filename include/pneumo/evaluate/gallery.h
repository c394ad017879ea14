/* The most confident mistakes of an evaluation, with what the model looked at. */
#ifndef PNEUMO_EVALUATE_GALLERY_H
#define PNEUMO_EVALUATE_GALLERY_H

#include "pneumo/evaluate/evaluate.h"
#include "pneumo/evaluate/page.h"

enum { PD_GALLERY_MOST = 12 };

typedef struct pd_gallery {
    int count;
    pd_page_mistake mistakes[PD_GALLERY_MOST];
} pd_gallery;

/* The wrongly decided images of the test fold (without one, of the val fold) whose probability lies
 * farthest from the threshold, as a share of the way to 0 or 1; each with its packed image and,
 * from a convolutional network, its heat map. Names are borrowed from the evaluation. On rank 0. */
pd_status pd_gallery_make(pd_gallery *out, pd_evaluation *evaluation);
void pd_gallery_release(pd_gallery *gallery);

/* Writes the page of an evaluation, gallery included. On rank 0. */
pd_status pd_gallery_write_page(const char *path, pd_evaluation *evaluation);

#endif
