#include "pneumo/train/task.h"

#include <math.h>

/* --- Pneumonia: one logit, positive for pneumonia --- */

static int pneumonia_class(const pd_sample *sample)
{
    return sample->label == PD_PNEUMONIA;
}

static double pneumonia_log_odds(const float *logits)
{
    return (double)logits[0];
}

static int pneumonia_predicted(const float *logits)
{
    return logits[0] >= 0;
}

static void pneumonia_evidence(const float *logits, float *dlogits)
{
    (void)logits;
    dlogits[0] = 1;
}

/* --- Cause: a logit for each of normal, bacteria and virus --- */

enum { NORMAL, BACTERIA, VIRUS, CAUSES };

static int cause_class(const pd_sample *sample)
{
    if (sample->label == PD_NORMAL)
        return NORMAL;
    return sample->cause == PD_CAUSE_BACTERIA ? BACTERIA
           : sample->cause == PD_CAUSE_VIRUS  ? VIRUS
                                              : -1;
}

/* log((exp(bacteria) + exp(virus)) / exp(normal)), without overflow. */
static double cause_log_odds(const float *logits)
{
    double sum = 0, largest = fmax((double)logits[BACTERIA], (double)logits[VIRUS]);
    for (int i = BACTERIA; i < CAUSES; i++)
        sum += exp((double)logits[i] - largest);
    return largest + log(sum) - (double)logits[NORMAL];
}

static int cause_predicted(const float *logits)
{
    int best = NORMAL;
    for (int i = BACTERIA; i < CAUSES; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static void cause_evidence(const float *logits, float *dlogits)
{
    int ill = logits[VIRUS] > logits[BACTERIA] ? VIRUS : BACTERIA;
    for (int i = 0; i < CAUSES; i++)
        dlogits[i] = i == ill ? 1 : i == NORMAL ? -1 : 0;
}

const pd_task pd_tasks[PD_TASKS] = {
    [PD_TASK_PNEUMONIA] = {.name = "pneumonia",
                           .classes = 2,
                           .class_names = {"normal", "pneumonia"},
                           .outputs = 1,
                           .mixes_pairs = true,
                           .loss = pd_loss_binary,
                           .activation = "sigmoid",
                           .class_of = pneumonia_class,
                           .log_odds = pneumonia_log_odds,
                           .predicted = pneumonia_predicted,
                           .evidence_gradient = pneumonia_evidence},
    [PD_TASK_CAUSE] = {.name = "cause",
                       .classes = CAUSES,
                       .class_names = {"normal", "bacteria", "virus"},
                       .outputs = CAUSES,
                       .has_causes = true,
                       .loss = pd_loss_softmax,
                       .activation = "softmax",
                       .class_of = cause_class,
                       .log_odds = cause_log_odds,
                       .predicted = cause_predicted,
                       .evidence_gradient = cause_evidence},
};
