#include "pneumo/nn/loss.h"

#include "pneumo/kernels/activation.h"

#include <math.h>
#include <stddef.h>

void pd_loss_binary(const float *logit, const float *target, const float *weight, int lanes,
                    int lane_samples, double smoothing, double scale, float *dlogit,
                    double *lane_loss)
{
    for (int lane = 0; lane < lanes; lane++) {
        double sum = 0;
        for (int s = 0; s < lane_samples; s++) {
            size_t i = (size_t)lane * (size_t)lane_samples + (size_t)s;
            double z = logit[i], w = weight ? weight[i] : 1;
            double t = target[i] * (1 - smoothing) + smoothing / 2;
            /* -t log(sigmoid(z)) - (1 - t) log(1 - sigmoid(z)), without overflow */
            double loss = (z < 0 ? 0 : z) - z * t + log1p(exp(-fabs(z)));
            sum += w * loss;
            if (dlogit)
                dlogit[i] = (float)(scale * w * (pd_sigmoid(z) - t));
        }
        lane_loss[lane] = scale * sum;
    }
}

/* The largest of the logits, or NaN if one is NaN. */
static double largest_logit(const float *logit, int classes)
{
    double largest = logit[0];
    for (int k = 1; k < classes; k++)
        if (logit[k] > largest || isnan(logit[k]))
            largest = logit[k];
    return largest;
}

/* log(sum of exp(logit)), relative to the largest logit. */
static double log_sum_exp(const float *logit, int classes, double largest)
{
    double sum = 0;
    for (int k = 0; k < classes; k++)
        sum += exp(logit[k] - largest);
    return log(sum);
}

void pd_loss_softmax(const float *logit, const int32_t *label, const float *weight, int classes,
                     int lanes, int lane_samples, double smoothing, double scale, float *dlogit,
                     double *lane_loss)
{
    for (int lane = 0; lane < lanes; lane++) {
        double sum = 0;
        for (int s = 0; s < lane_samples; s++) {
            size_t i = (size_t)lane * (size_t)lane_samples + (size_t)s;
            const float *row = logit + i * (size_t)classes;
            double w = weight ? weight[i] : 1;
            double largest = largest_logit(row, classes);
            double log_sum = log_sum_exp(row, classes, largest);
            for (int k = 0; k < classes; k++) {
                double t = smoothing / classes;
                if (w != 0 && k == label[i])
                    t += 1 - smoothing;
                double log_probability = row[k] - largest - log_sum;
                sum -= w * t * log_probability;
                if (dlogit)
                    dlogit[i * (size_t)classes + (size_t)k] =
                        (float)(scale * w * (exp(log_probability) - t));
            }
        }
        lane_loss[lane] = scale * sum;
    }
}

double pd_loss_probability(double logit)
{
    return pd_sigmoid(logit);
}

void pd_loss_probabilities(const float *logit, int classes, double *probability)
{
    double largest = largest_logit(logit, classes);
    double log_sum = log_sum_exp(logit, classes, largest);
    for (int k = 0; k < classes; k++)
        probability[k] = exp(logit[k] - largest - log_sum);
}
