/* The table that `calibrate` prints. */
#ifndef PNEUMO_REPORT_CALIBRATE_PRINT_H
#define PNEUMO_REPORT_CALIBRATE_PRINT_H

#include "pneumo/evaluate/calibrate.h"

#include <stdio.h>

/* Prints the figures before, after and cross-validated, the width of their intervals, and how many
 * more images make them narrower than PD_CALIBRATE_HALF_WIDTH. */
void pd_calibrate_print(FILE *out, const pd_calibrate_result *result);

#endif
