/* Building JSON with cJSON.
 *
 * cJSON's functions take NULL for an object or item and then return NULL or false, so a failed
 * allocation anywhere ends in *ok being false. A NULL key appends to an array. */
#ifndef PNEUMO_EXCHANGE_JSON_H
#define PNEUMO_EXCHANGE_JSON_H

#include "pneumo/base/status.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Puts `item` (owned from now on) into `parent` and returns it. */
cJSON *pd_json_put(bool *ok, cJSON *parent, const char *key, cJSON *item);

cJSON *pd_json_object(bool *ok, cJSON *parent, const char *key);
cJSON *pd_json_array(bool *ok, cJSON *parent, const char *key);
void pd_json_text(bool *ok, cJSON *parent, const char *key, const char *value);
void pd_json_flag(bool *ok, cJSON *parent, const char *key, bool value);
void pd_json_null(bool *ok, cJSON *parent, const char *key);
void pd_json_integer(bool *ok, cJSON *parent, const char *key, int64_t value);

/* The shortest decimal number that converts to the same bits. */
void pd_json_double(bool *ok, cJSON *parent, const char *key, double value);
void pd_json_float(bool *ok, cJSON *parent, const char *key, float value);

/* An array of two integers. */
void pd_json_pair(bool *ok, cJSON *parent, const char *key, int a, int b);

/* Stores `root` as text at *out; free(). Fails if `ok` is false. */
pd_status pd_json_print(char **out, const cJSON *root, bool ok);

#endif
