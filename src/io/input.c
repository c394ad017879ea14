#include "input_internal.h"

#include "field.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The attributes of /input. Packed images are reduced to size x size by bilinear samples, whose
 * mean a pixel is. */
typedef struct record {
    int64_t packed_height, packed_width, size, channels;
    char scaling[8], resizing[16];
    double mean, deviation;
} record;

static const pd_field fields[] = {
    PD_FIELD(record, packed_height, "packed_height", INTEGER),
    PD_FIELD(record, packed_width, "packed_width", INTEGER),
    PD_FIELD(record, resizing, "resizing", TEXT),
    PD_FIELD(record, size, "size", INTEGER),
    PD_FIELD(record, channels, "channels", INTEGER),
    PD_FIELD(record, scaling, "scaling", TEXT),
    PD_FIELD(record, mean, "mean", REAL),
    PD_FIELD(record, deviation, "deviation", REAL),
};
enum { FIELDS = sizeof fields / sizeof *fields };

/* The only one. */
#define RESIZING "bilinear"

/* What else there is for PD_GREY_FIXED: the numbers of each channel. */
typedef struct channel_record {
    double means[PD_INPUT_CHANNELS], deviations[PD_INPUT_CHANNELS];
} channel_record;

static const pd_field channel_fields[] = {
    PD_FIELD(channel_record, means[0], "mean_1", REAL),
    PD_FIELD(channel_record, deviations[0], "deviation_1", REAL),
    PD_FIELD(channel_record, means[1], "mean_2", REAL),
    PD_FIELD(channel_record, deviations[1], "deviation_2", REAL),
    PD_FIELD(channel_record, means[2], "mean_3", REAL),
    PD_FIELD(channel_record, deviations[2], "deviation_3", REAL),
};

const char *const pd_grey_scaling_names[PD_GREY_SCALINGS] = {"fold", "image", "fixed"};

void pd_input_describe(char *text, size_t size, const pd_input *input)
{
    bool fixed = input->scaling == PD_GREY_FIXED;
    size_t used = 0;
    if (input->scaling == PD_GREY_IMAGE) {
        snprintf(text, size, "by the mean and deviation of each image");
        return;
    }
    text[0] = '\0';
    for (int c = 0; c < (fixed ? input->channels : 1) && used < size; c++)
        used += (size_t)snprintf(text + used, size - used, "%s(grey - %g) / %g", c == 0 ? "" : ", ",
                                 (double)(fixed ? input->means[c] : input->mean),
                                 (double)(fixed ? input->deviations[c] : input->deviation));
}

static pd_status put_channels(const pd_hdf5 *file, hid_t group, const pd_input *input)
{
    channel_record made;
    for (int c = 0; c < PD_INPUT_CHANNELS; c++) {
        made.means[c] = (double)input->means[c];
        made.deviations[c] = (double)input->deviations[c];
    }
    return pd_fields_put(file, group, channel_fields, 2 * input->channels, &made);
}

pd_status pd_input_put(const pd_hdf5 *file, const pd_input *input)
{
    hid_t group = H5I_INVALID_HID;
    record made = {.packed_height = input->height,
                   .packed_width = input->width,
                   .size = input->size,
                   .channels = input->channels,
                   .resizing = RESIZING,
                   .mean = (double)input->mean,
                   .deviation = (double)input->deviation};
    snprintf(made.scaling, sizeof made.scaling, "%s", pd_grey_scaling_names[input->scaling]);
    pd_status status = pd_hdf5_put_group(&group, file, file->id, "input");
    if (status == PD_OK)
        status = pd_fields_put(file, group, fields, FIELDS, &made);
    if (status == PD_OK && input->scaling == PD_GREY_FIXED)
        status = put_channels(file, group, input);
    pd_hdf5_close(&group);
    return status;
}

/* Fails unless 1 <= value <= INT_MAX. */
static pd_status get_side(int *out, const pd_hdf5 *file, const char *name, int64_t value)
{
    if (value < 1 || value > INT_MAX)
        return pd_hdf5_fail_read(file, "'/input/%s' is %lld, not a positive number", name,
                                 (long long)value);
    *out = (int)value;
    return PD_OK;
}

/* Images are divided by the deviation. */
static pd_status check_scaling(const pd_hdf5 *file, float mean, float deviation)
{
    if (isfinite(mean) && isfinite(deviation) && deviation != 0)
        return PD_OK;
    return pd_hdf5_fail_read(file, "'/input' has an impossible scaling: (grey - %g) / %g",
                             (double)mean, (double)deviation);
}

static pd_status get_channels(const pd_hdf5 *file, pd_input *input)
{
    channel_record found = {0};
    if (input->channels > PD_INPUT_CHANNELS)
        return pd_hdf5_fail_read(file, "'/input/channels' is %d, more than %d", input->channels,
                                 PD_INPUT_CHANNELS);
    pd_status status = pd_fields_get(file, "/input", channel_fields, 2 * input->channels, &found);
    for (int c = 0; c < input->channels && status == PD_OK; c++) {
        input->means[c] = (float)found.means[c];
        input->deviations[c] = (float)found.deviations[c];
        status = check_scaling(file, input->means[c], input->deviations[c]);
    }
    return status;
}

pd_status pd_input_get(const pd_hdf5 *file, pd_input *input)
{
    pd_status status = PD_OK;
    record found;
    int scaling = 0;
    PD_TRY(pd_fields_get(file, "/input", fields, FIELDS, &found));
    while (scaling < PD_GREY_SCALINGS && strcmp(pd_grey_scaling_names[scaling], found.scaling) != 0)
        scaling++;
    if (scaling == PD_GREY_SCALINGS) {
        status =
            pd_hdf5_fail_read(file, "'/input/scaling' is '%s', which is unknown", found.scaling);
        goto cleanup;
    }
    if (strcmp(found.resizing, RESIZING) != 0) {
        status =
            pd_hdf5_fail_read(file, "'/input/resizing' is '%s', which is unknown", found.resizing);
        goto cleanup;
    }
    input->scaling = (pd_grey_scaling)scaling;
    input->mean = (float)found.mean;
    input->deviation = (float)found.deviation;
    PD_TRY(get_side(&input->height, file, "packed_height", found.packed_height));
    PD_TRY(get_side(&input->width, file, "packed_width", found.packed_width));
    PD_TRY(get_side(&input->size, file, "size", found.size));
    PD_TRY(get_side(&input->channels, file, "channels", found.channels));
    if (input->scaling == PD_GREY_FOLD)
        status = check_scaling(file, input->mean, input->deviation);
    if (input->scaling == PD_GREY_FIXED)
        status = get_channels(file, input);

cleanup:
    return status;
}
