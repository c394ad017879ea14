#include "json.h"

#include "pneumo/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

cJSON *pd_json_put(bool *ok, cJSON *parent, const char *key, cJSON *item)
{
    bool added =
        key == NULL ? cJSON_AddItemToArray(parent, item) : cJSON_AddItemToObject(parent, key, item);
    if (added)
        return item;
    cJSON_Delete(item);
    *ok = false;
    return NULL;
}

cJSON *pd_json_object(bool *ok, cJSON *parent, const char *key)
{
    return pd_json_put(ok, parent, key, cJSON_CreateObject());
}

cJSON *pd_json_array(bool *ok, cJSON *parent, const char *key)
{
    return pd_json_put(ok, parent, key, cJSON_CreateArray());
}

void pd_json_text(bool *ok, cJSON *parent, const char *key, const char *value)
{
    pd_json_put(ok, parent, key, cJSON_CreateString(value));
}

void pd_json_flag(bool *ok, cJSON *parent, const char *key, bool value)
{
    pd_json_put(ok, parent, key, cJSON_CreateBool(value));
}

void pd_json_null(bool *ok, cJSON *parent, const char *key)
{
    pd_json_put(ok, parent, key, cJSON_CreateNull());
}

void pd_json_integer(bool *ok, cJSON *parent, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    pd_json_put(ok, parent, key, cJSON_CreateRaw(text));
}

void pd_json_double(bool *ok, cJSON *parent, const char *key, double value)
{
    char text[PD_TEXT_NUMBER];
    pd_json_put(ok, parent, key, cJSON_CreateRaw(pd_text_number(text, value)));
}

void pd_json_float(bool *ok, cJSON *parent, const char *key, float value)
{
    enum { DIGITS = 9 }; /* are enough for any float */
    char text[PD_TEXT_NUMBER];
    for (int digits = 1; digits <= DIGITS; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    pd_json_put(ok, parent, key, cJSON_CreateRaw(text));
}

void pd_json_pair(bool *ok, cJSON *parent, const char *key, int a, int b)
{
    cJSON *array = pd_json_array(ok, parent, key);
    pd_json_integer(ok, array, NULL, a);
    pd_json_integer(ok, array, NULL, b);
}

pd_status pd_json_print(char **out, const cJSON *root, bool ok)
{
    *out = ok ? cJSON_PrintUnformatted(root) : NULL;
    return *out == NULL ? pd_fail("out of memory for JSON") : PD_OK;
}
