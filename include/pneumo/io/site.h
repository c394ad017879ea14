/* The images of another site on which a decision was chosen after training. */
#ifndef PNEUMO_IO_SITE_H
#define PNEUMO_IO_SITE_H

#include <stdint.h>

/* Identifies an image: a hash of its packed pixels (pd_identity_of). */
typedef struct pd_identity {
    uint8_t bytes[16];
} pd_identity;

typedef struct pd_site {
    char source[64];      /* "fold val of a data set", "all of a data set", "two folders" */
    char data_digest[33]; /* of the data set, or of the folders' images */
    char rule[16];        /* evaluate.threshold_rule */
    double target_sensitivity, target_specificity;
    int64_t normal, pneumonia;         /* images of each class */
    int64_t image_height, image_width; /* of the packed images */
    int64_t count;                     /* normal + pneumonia; 0: not calibrated, all else unset */
    pd_identity *images;               /* [count], ascending */
} pd_site;

#endif
