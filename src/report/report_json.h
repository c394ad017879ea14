/* report.json as a tree. */
#ifndef PNEUMO_REPORT_REPORT_JSON_H
#define PNEUMO_REPORT_REPORT_JSON_H

#include "pneumo/evaluate/results.h"

#include <cjson/cJSON.h>

/* What pd_report_write_json writes. Numbers are raw items, whose text has all digits, and null is
 * raw too where a number is unknown. The caller owns *out (cJSON_Delete). Fails when memory runs
 * out. */
pd_status pd_report_json_create(cJSON **out, const pd_results *results);

#endif
