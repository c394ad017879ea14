/* A case for each size of a register tile, for the functions that multiply tiles. */
#ifndef PNEUMO_KERNELS_TILE_CASES_H
#define PNEUMO_KERNELS_TILE_CASES_H

#define TILE_CASES_4(make, vectors)                                                                \
    make(1, vectors) make(2, vectors) make(3, vectors) make(4, vectors)
#define TILE_CASES_6(make, vectors) TILE_CASES_4(make, vectors) make(5, vectors) make(6, vectors)
#define TILE_CASES_9(make, vectors)                                                                \
    TILE_CASES_6(make, vectors) make(7, vectors) make(8, vectors) make(9, vectors)
#define TILE_CASES_14(make, vectors)                                                               \
    TILE_CASES_9(make, vectors)                                                                    \
    make(10, vectors) make(11, vectors) make(12, vectors) make(13, vectors) make(14, vectors)

/* make(rows, vectors) for each tile that pd_tile_max_rows admits. */
#if defined(__AVX512F__)
#define PD_TILE_CASES(make) TILE_CASES_14(make, 1) TILE_CASES_14(make, 2) TILE_CASES_9(make, 3)
#elif defined(__AVX__)
#define PD_TILE_CASES(make) TILE_CASES_6(make, 1) TILE_CASES_6(make, 2) TILE_CASES_4(make, 3)
#else
#define PD_TILE_CASES(make) TILE_CASES_4(make, 1) TILE_CASES_4(make, 2) TILE_CASES_4(make, 3)
#endif

#endif
