/* The most confident mistakes of an evaluation, with what the model looked at. */
#ifndef PNEUMO_REPORT_GALLERY_H
#define PNEUMO_REPORT_GALLERY_H

#include "pneumo/evaluate/evaluate.h"

/* Writes the page of an evaluation (report/page.h). Its gallery shows the wrongly decided images
 * of the test fold (without one, of the val fold) whose probability lies farthest from the
 * threshold, as a share of the way to 0 or 1; each, from a convolutional network, with its packed
 * image and heat map. On rank 0. */
pd_status pd_gallery_write_page(const char *path, pd_evaluation *evaluation);

#endif
