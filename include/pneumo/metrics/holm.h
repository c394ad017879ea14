/* Correcting p values for multiple tests. */
#ifndef PNEUMO_METRICS_HOLM_H
#define PNEUMO_METRICS_HOLM_H

enum { PD_HOLM_MAX = 16 };

/* Replaces p[count] by the values corrected for their number with Holm's step-down method
 * (Scandinavian Journal of Statistics 6, 65-70, 1979). count <= PD_HOLM_MAX; no p is NAN. */
void pd_holm_adjust(double *p, int count);

#endif
