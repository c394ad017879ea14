/* The page of an evaluation, with its most confident mistakes. */
#ifndef PNEUMO_REPORT_GALLERY_H
#define PNEUMO_REPORT_GALLERY_H

#include "pneumo/evaluate/evaluate.h"

/* Writes the page of an evaluation (src/report/page.h). Its gallery shows the misclassified images
 * of the test fold (without one, of the val fold) whose probability lies farthest from the
 * threshold, relative to the distance to 0 or 1; for a convolutional network each with its packed
 * image and heat map. On rank 0. */
pd_status pd_gallery_write_page(const char *path, pd_evaluation *evaluation);

#endif
