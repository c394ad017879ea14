/* The formats that models are written in, each in a file of its own; the table is in export.c. */
#ifndef PNEUMO_EXCHANGE_EXPORT_INTERNAL_H
#define PNEUMO_EXCHANGE_EXPORT_INTERNAL_H

#include "pneumo/exchange/export.h"

extern const pd_export_format pd_export_keras, pd_export_keras_weights, pd_export_safetensors,
    pd_export_onnx;

#endif
