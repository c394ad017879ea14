/* Heat maps of convolutional networks: Grad-CAM (Selvaraju et al., arXiv:1610.02391). */
#ifndef PNEUMO_EVALUATE_HEATMAP_H
#define PNEUMO_EVALUATE_HEATMAP_H

#include "pneumo/base/status.h"
#include "pneumo/data/image.h"
#include "pneumo/data/picture.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/task.h"

/* Of one image: values [height][width], at least 0, at the resolution of the network's last
 * convolutional activation. */
typedef struct pd_heatmap {
    int height, width;
    float *values; /* released by pd_heatmap_free */
    double border; /* share of the sum of values within a tenth of the side from the border; cells
                      that are partly inside count in proportion; NAN if all are 0 */
    double peak_y, peak_x; /* where the map, smoothed as in the overlay, is largest: 0 to 1 from
                              the top and the left; NAN if all are 0 */
} pd_heatmap;

/* The map for the evidence for pneumonia (pd_task) of x [size][size][channels], by a network
 * planned for inference. Fails where pd_network_last_convolution is -1, and when the network's
 * numbers are not finite. */
pd_status pd_heatmap_compute(pd_heatmap *out, pd_network *network, const pd_task *task, int threads,
                             const float *x);

/* The mean of maps[count] with weights[count], at the height and width of the largest of each. A
 * map of another size is interpolated to that size and its values are divided by the increase in
 * cells, so that the sum over all cells, which measures the contribution to the logit, stays the
 * same. */
pd_status pd_heatmap_mean(pd_heatmap *out, const pd_heatmap *maps, const double *weights,
                          int count);
void pd_heatmap_free(pd_heatmap *heatmap);

/* The map, smoothed and then scaled by its largest value, laid over the image at the image's own
 * size, with a colour scale beside it. */
pd_status pd_heatmap_overlay(pd_picture *out, const pd_heatmap *heatmap, const pd_image *image);

/* The image in grey and the overlay side by side, each at most `side` pixels high and wide. */
pd_status pd_heatmap_pair(pd_picture *out, const pd_heatmap *heatmap, const pd_image *image,
                          int side);

#endif
