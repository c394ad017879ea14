#include "file_image.h"

#include "pneumo/data/profile.h"

#include <stdio.h>
#include <unistd.h>

/* Writes why the image, whose packed form is `packed`, is unlike the training images; "" if it is
 * not, or if the checkpoint has no profile. */
static void check_image(const pd_classifier *classifier, const pd_image *image,
                        const uint8_t *packed, char reason[PD_REASON_SIZE])
{
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(classifier);
    const pd_input *input = pd_classifier_input(classifier);
    pd_traits traits;
    reason[0] = '\0';
    if (image->is_other)
        snprintf(reason, PD_REASON_SIZE, "modality %s, not a radiograph", image->modality);
    else if (image->projection == PD_PROJECTION_LATERAL)
        snprintf(reason, PD_REASON_SIZE, "lateral view");
    if (reason[0] != '\0')
        return;
    if (!checkpoint->has_profile)
        return;
    pd_traits_measure(&traits, packed, input->height, input->width, image->height, image->width);
    pd_traits_compare(&traits, checkpoint->profile.mean);
    pd_trait outside = pd_profile_check(&checkpoint->profile, &traits);
    if (outside != PD_TRAITS)
        pd_profile_reason(reason, &checkpoint->profile, &traits, outside);
}

pd_status pd_file_image_read(const pd_classifier *classifier, const char *path, uint8_t *packed,
                             char reason[PD_REASON_SIZE])
{
    pd_image image = {0};
    pd_status status = PD_OK;
    if (path != NULL)
        status = pd_image_check_path(path);
    else if (isatty(STDIN_FILENO))
        status = pd_fail("standard input is a terminal; pipe an image into the program");
    if (status == PD_OK)
        status = pd_image_read(&image, path != NULL ? path : "/dev/stdin");
    if (status == PD_OK)
        status = pd_classifier_pack(classifier, &image, packed);
    if (status == PD_OK)
        check_image(classifier, &image, packed, reason);
    pd_image_free(&image);
    return status;
}
