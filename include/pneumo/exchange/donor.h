/* A file whose weights a network starts from, under the names of our layers: a checkpoint, a Keras
 * model or weights of any version, ImageNet's official files for keras.applications, torchvision's
 * VGG or our own exports as safetensors. */
#ifndef PNEUMO_EXCHANGE_DONOR_H
#define PNEUMO_EXCHANGE_DONOR_H

#include "pneumo/base/status.h"
#include "pneumo/exchange/model.h"
#include "pneumo/io/array.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/input.h"

typedef struct pd_donor {
    char what[192]; /* what the file is, for the log */
    int count;
    size_t capacity;  /* of arrays, if they grow (pd_donor_add); else 0 */
    pd_array *arrays; /* the arrays of a layer in a row */
    bool scaled;      /* the file says how its images are scaled, or it is known of such files */
    bool assumed;     /* ... as keras.applications scales images for the model of `like` */
    pd_input input;   /* channels (0: unknown); if `scaled`, the scaling, with the numbers of
                         PD_GREY_FIXED */

    /* What owns the arrays' names and data: */
    pd_network *network;
    pd_checkpoint *checkpoint;
    bool owns; /* they own them themselves */
} pd_donor;

/* Reads the file. `like` is the network that is to start, planned: it says which layers there are,
 * where a file does not describe its own network. Release with pd_donor_free, also after a failure.
 */
pd_status pd_donor_read(pd_donor *out, const char *path, const pd_exchange_model *like);
void pd_donor_free(pd_donor *donor);

#endif
