/* The parts of reading a donor. */
#ifndef PNEUMO_EXCHANGE_DONOR_INTERNAL_H
#define PNEUMO_EXCHANGE_DONOR_INTERNAL_H

#include "pneumo/exchange/donor.h"
#include "pneumo/exchange/keras_file.h"

/* Reads a Keras file that holds weights only. */
pd_status pd_donor_read_weights(pd_donor *out, pd_keras_file *file, const pd_exchange_model *like);

/* Reads a safetensors file. */
pd_status pd_donor_read_safetensors(pd_donor *out, const char *path);

/* Whether the file is one, by its first bytes. */
bool pd_donor_is_safetensors(const char *path);

/* Keras numbers layers without a name over all models of a process: renames a donor's conv2d_4,
 * conv2d_5, ... to the names that the network has, in their order, if there are as many. */
pd_status pd_donor_renumber(pd_donor *donor, const pd_network *network);

/* Appends a copy of the names and takes over the data of an array. Grows the list. */
pd_status pd_donor_add(pd_donor *donor, const char *layer, const char *weight, pd_array *array);

/* Writes what the file is to what[size] if it is an official one of keras.applications, else "". */
pd_status pd_known_file(char *what, size_t size, const char *path);

/* The MD5 of a file in hexadecimal, and the model whose official file has that MD5; or NULL. */
enum { PD_MD5_HEX = 33 };
pd_status pd_known_md5(char hex[PD_MD5_HEX], const char *path);
const char *pd_known_name(const char *hex);

#endif
