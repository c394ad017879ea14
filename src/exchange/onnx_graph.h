/* An ONNX graph under construction, and the file that it makes. Operators are those of version 13
 * of ONNX' operator set. */
#ifndef PNEUMO_EXCHANGE_ONNX_GRAPH_H
#define PNEUMO_EXCHANGE_ONNX_GRAPH_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pd_onnx pd_onnx;

/* The caller owns *out. */
pd_status pd_onnx_create(pd_onnx **out, const char *name);
void pd_onnx_destroy(pd_onnx **onnx);

/* The functions that add to the graph return what they added, for use in further calls; after a
 * failure they do nothing. pd_onnx_write reports the first one. Names are values' names, valid
 * until pd_onnx_destroy. */

/* A new text, "<layer>/<what>". */
const char *pd_onnx_name(pd_onnx *onnx, const char *layer, const char *what);

/* An input or output of floats of shape [N][dims[rank]], with N open. */
const char *pd_onnx_input(pd_onnx *onnx, const char *name, const int *dims, int rank);
void pd_onnx_output(pd_onnx *onnx, const char *name, const int *dims, int rank);

/* Floats of shape dims[rank]. Returns their zeroed memory for the caller to fill; NULL after a
 * failure. */
float *pd_onnx_constant(pd_onnx *onnx, const char *name, const int *dims, int rank);

/* The constant integers values[count]; returns `name`. */
const char *pd_onnx_integers(pd_onnx *onnx, const char *name, const int *values, int count);

/* A node of operator `type` with inputs[count], whose output is `output`; returns `output`. */
const char *pd_onnx_node(pd_onnx *onnx, const char *type, const char *output,
                         const char *const *inputs, int count);

/* Attributes of the last node. */
void pd_onnx_set_int(pd_onnx *onnx, const char *name, int64_t value);
void pd_onnx_set_float(pd_onnx *onnx, const char *name, float value);
void pd_onnx_set_ints(pd_onnx *onnx, const char *name, const int *values, int count);

/* Writes the file. Fails if it would be larger than the 2 GiB that ONNX' format holds. */
pd_status pd_onnx_write(pd_onnx *onnx, const char *path);

#endif
