/* A file whose weights a network starts from: they are named as those of our layers. */
#ifndef PNEUMO_EXCHANGE_DONOR_H
#define PNEUMO_EXCHANGE_DONOR_H

#include "pneumo/base/status.h"
#include "pneumo/io/array.h"
#include "pneumo/io/input.h"
#include "pneumo/nn/network.h"

typedef struct pd_donor {
    int count;
    pd_array *arrays;    /* layer by layer, those of a layer in the order of its params */
    bool scaled;         /* the file says how images are scaled */
    pd_input input;      /* channels; and, if `scaled`, the scaling: PD_GREY_FIXED */
    pd_network *network; /* owns what `arrays` show */
} pd_donor;

/* Reads the file for images of that size. Release with pd_donor_free, also after a failure. */
pd_status pd_donor_read(pd_donor *out, const char *path, int size);
void pd_donor_free(pd_donor *donor);

#endif
