/* Edits of the tree of an HDF5 file. HDF5 refuses nearly every file with changed bytes; an edited
 * tree is a valid file with other objects. */
#ifndef PNEUMO_FUZZ_TREE_H
#define PNEUMO_FUZZ_TREE_H

#include <stddef.h>
#include <stdint.h>

/* Copies a seed of `fuzzer` to the file `name` in the folder of this process and edits it. bytes[0]
 * chooses the seed, and each 16 bytes that follow are an edit (tree.c). The seeds are the HDF5
 * files in $FUZZ_SEEDS/<fuzzer>, or <build folder>/seeds/<fuzzer>. Returns the path, or NULL if
 * HDF5 cannot write the file. */
const char *fuzz_tree(const char *name, const char *fuzzer, const uint8_t *bytes, size_t size);

/* libFuzzer's: keeps edits whole. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed);

#endif
