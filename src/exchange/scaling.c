#include "pneumo/exchange/scaling.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct scaling {
    const char *name;
    float means[PD_INPUT_CHANNELS], deviations[PD_INPUT_CHANNELS]; /* of the network's channels */
} scaling;

static const scaling scalings[] = {
    {"0..1", {0, 0, 0}, {255, 255, 255}},
    {"0..255", {0, 0, 0}, {1, 1, 1}},
    {"caffe", {103.939f, 116.779f, 123.68f}, {1, 1, 1}}, /* blue, green, red */
    {"tf", {127.5f, 127.5f, 127.5f}, {127.5f, 127.5f, 127.5f}},
    {"torch",
     {0.485f * 255, 0.456f * 255, 0.406f * 255},
     {0.229f * 255, 0.224f * 255, 0.225f * 255}},
};

/* Reads numbers separated by commas; -1 if they are not, or are more than `most`. */
static int read_numbers(float *numbers, int most, const char *text)
{
    int count = 0;
    while (count < most) {
        char *end;
        numbers[count] = strtof(text, &end);
        if (end == text || !isfinite(numbers[count]))
            return -1;
        count++;
        if (*end == '\0')
            return count;
        if (*end != ',')
            return -1;
        text = end + 1;
    }
    return -1;
}

pd_status pd_scaling_parse(pd_input *input, const char *text)
{
    float numbers[2 * PD_INPUT_CHANNELS];
    int channels = input->channels;
    for (size_t i = 0; i < sizeof scalings / sizeof *scalings; i++)
        if (strcmp(scalings[i].name, text) == 0) {
            memcpy(input->means, scalings[i].means, sizeof input->means);
            memcpy(input->deviations, scalings[i].deviations, sizeof input->deviations);
            return PD_OK;
        }
    int count = read_numbers(numbers, 2 * PD_INPUT_CHANNELS, text);
    if (count != 2 && count != 2 * channels)
        return pd_fail_usage("unknown scaling '%s': use 0..1, 0..255, tf, caffe, torch or "
                             "MEAN,DEVIATION",
                             text);
    for (int c = 0; c < channels; c++) {
        input->means[c] = numbers[count == 2 ? 0 : c];
        input->deviations[c] = numbers[count == 2 ? 1 : channels + c];
        if (input->deviations[c] == 0)
            return pd_fail_usage("scaling '%s' divides by 0", text);
    }
    return PD_OK;
}
