/* The instruction set that the kernels are compiled for. */
#ifndef PNEUMO_KERNELS_INSTRUCTIONS_H
#define PNEUMO_KERNELS_INSTRUCTIONS_H

/* "AVX-512", "AVX2" or "any processor". */
const char *pd_instructions_name(void);

#endif
