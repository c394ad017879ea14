#include "pneumo/nn/loss.h"

#include "pneumo/kernels/activation.h"

#include <math.h>
#include <stddef.h>

static double weight_at(const pd_loss_batch *batch, size_t sample)
{
    return batch->weights != NULL ? batch->weights[sample] : 1;
}

void pd_loss_binary(const pd_loss_batch *batch)
{
    const double smoothing = batch->smoothing;
    for (int lane = 0; lane < batch->lanes; lane++) {
        double sum = 0;
        for (int s = 0; s < batch->lane_samples; s++) {
            size_t i = (size_t)lane * (size_t)batch->lane_samples + (size_t)s;
            double z = batch->logits[i], w = weight_at(batch, i);
            double t = batch->targets[i] * (1 - smoothing) + smoothing / 2;
            /* -t log(sigmoid(z)) - (1 - t) log(1 - sigmoid(z)), without overflow */
            double loss = (z < 0 ? 0 : z) - z * t + log1p(exp(-fabs(z)));
            sum += w * loss;
            if (batch->dlogits != NULL)
                batch->dlogits[i] = (float)(batch->scale * w * (pd_sigmoid(z) - t));
        }
        batch->lane_losses[lane] = batch->scale * sum;
    }
}

/* The largest of the logits, or NaN if one is NaN. */
static double largest_logit(const float *logits, int outputs)
{
    double largest = logits[0];
    for (int k = 1; k < outputs; k++)
        if (logits[k] > largest || isnan(logits[k]))
            largest = logits[k];
    return largest;
}

/* log(sum of exp(logit)), relative to the largest logit. */
static double log_sum_exp(const float *logits, int outputs, double largest)
{
    double sum = 0;
    for (int k = 0; k < outputs; k++)
        sum += exp(logits[k] - largest);
    return log(sum);
}

void pd_loss_softmax(const pd_loss_batch *batch)
{
    const int outputs = batch->outputs;
    for (int lane = 0; lane < batch->lanes; lane++) {
        double sum = 0;
        for (int s = 0; s < batch->lane_samples; s++) {
            size_t i = (size_t)lane * (size_t)batch->lane_samples + (size_t)s;
            size_t first = i * (size_t)outputs;
            const float *row = batch->logits + first;
            double w = weight_at(batch, i);
            double largest = largest_logit(row, outputs);
            double log_sum = log_sum_exp(row, outputs, largest);
            for (int k = 0; k < outputs; k++) {
                double t = batch->smoothing / outputs;
                if (w != 0 && k == batch->labels[i])
                    t += 1 - batch->smoothing;
                double log_probability = row[k] - largest - log_sum;
                sum -= w * t * log_probability;
                if (batch->dlogits != NULL)
                    batch->dlogits[first + (size_t)k] =
                        (float)(batch->scale * w * (exp(log_probability) - t));
            }
        }
        batch->lane_losses[lane] = batch->scale * sum;
    }
}

double pd_loss_probability(double logit)
{
    return pd_sigmoid(logit);
}
