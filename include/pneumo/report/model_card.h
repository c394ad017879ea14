/* The model card: what a model is for, how it was made and how well it works, for its users. */
#ifndef PNEUMO_REPORT_MODEL_CARD_H
#define PNEUMO_REPORT_MODEL_CARD_H

#include "pneumo/evaluate/results.h"

/* Writes the card as Markdown with pd_output_write. Its headings give the items of TRIPOD+AI
 * (Collins et al., BMJ 2024, doi:10.1136/bmj-2023-078378) that each section covers, with what CLAIM
 * 2024 (Tejani et al., Radiology: Artificial Intelligence 2024, doi:10.1148/ryai.240300) adds for
 * images. Every figure and text is that of report.json (pd_report_write_json); what is not known
 * there is said to be unknown. Names no image. If the patient of an image is unknown, it gives no
 * figures of patients. Fails when memory runs out or the file cannot be written. */
pd_status pd_model_card_write(const char *path, const pd_results *results);

#endif
