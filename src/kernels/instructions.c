#include "pneumo/kernels/instructions.h"

const char *pd_instructions_name(void)
{
#if defined(__AVX512F__)
    return "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
    return "AVX2";
#else
    return "any processor";
#endif
}
