/* DICOM: computed and digital radiographs as hospitals store them. */
#include "image_format.h"
#include "pneumo/data/image.h"

#include <string.h>

#ifdef PNEUMO_DICOM
#include "dicom_grey.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/identity.h"

#include <ctype.h>
#include <stdio.h>
#endif

/* The mark behind the preamble, or a data set without either, which begins with group 2 or 8. */
static bool is_dicom(const unsigned char *bytes, size_t size)
{
    if (size >= 132 && memcmp(bytes + 128, "DICM", 4) == 0)
        return true;
    if (size < 132)
        return false;
    bool little = (bytes[0] == 2 || bytes[0] == 8) && bytes[1] == 0 && bytes[3] == 0;
    bool big = bytes[0] == 0 && bytes[1] == 8 && bytes[2] == 0;
    bool has_vr = bytes[4] >= 'A' && bytes[4] <= 'U' && bytes[5] >= 'A' && bytes[5] <= 'W';
    /* Implicit: the length of a short value. */
    return (little && (has_vr || (bytes[5] == 0 && bytes[6] == 0 && bytes[7] == 0))) ||
           (big && has_vr);
}

#ifdef PNEUMO_DICOM

static bool is_one_of(const char *text, const char *const *list)
{
    while (*list != NULL && strcmp(text, *list) != 0)
        list++;
    return *list != NULL;
}

/* From the view's name or code (CID 4010), else from the direction of the image's rows: left or
 * right in a frontal image, to the front or back in a lateral one. */
static pd_projection projection_of(const pd_dicom *dicom)
{
    static const char *const frontal[] = {"AP",      "PA",        "LLD",       "RLD",
                                          "FRONTAL", "399348003", "272479007", "399033003",
                                          "R-10206", "R-10214",   "R-10202",   NULL};
    static const char *const lateral[] = {
        "LL",        "RL",        "LAT",       "LATERAL",   "RLO",       "LLO",       "RAO",
        "LAO",       "RPO",       "LPO",       "399067008", "399173006", "399198007", "399352003",
        "399260004", "260427002", "399135007", "399006002", "399356000", "399038007", "399184004",
        "399236003", "399182000", "R-102CD",   "R-10236",   "R-10232",   "R-10228",   "R-10224",
        "R-40783",   "R-10220",   "R-10212",   "R-40985",   "R-10210",   "R-10238",   "R-10234",
        "R-102C1",   NULL};
    const char *const names[] = {dicom->view, dicom->view_code};
    for (int i = 0; i < 2; i++) {
        if (is_one_of(names[i], frontal))
            return PD_PROJECTION_FRONTAL;
        if (is_one_of(names[i], lateral))
            return PD_PROJECTION_LATERAL;
    }
    char row = dicom->row_direction[0];
    return row == 'L' || row == 'R'   ? PD_PROJECTION_FRONTAL
           : row == 'A' || row == 'P' ? PD_PROJECTION_LATERAL
                                      : PD_PROJECTION_UNKNOWN;
}

/* Appends the letters and digits of `text` to the words if they are at least `least`. */
static void add_word(pd_image *image, size_t *used, const char *text, size_t length, size_t least)
{
    size_t start = *used, end = start;
    for (size_t i = 0; i < length && end + 2 < sizeof image->identity; i++)
        if (isalnum((unsigned char)text[i]) || (unsigned char)text[i] >= 0x80)
            image->identity[end++] = (char)tolower((unsigned char)text[i]);
    if (end - start >= least)
        *used = end + 1;
    else
        end = start;
    memset(image->identity + end, 0, sizeof image->identity - end);
}

/* Adds the ASCII parts of a word with other characters, which a path may hold in another encoding.
 */
static void add_ascii_parts(pd_image *image, size_t *used, const char *text, size_t length)
{
    size_t size;
    for (size_t first = 0; first < length; first += size + 1) {
        for (size = 0; first + size < length && (unsigned char)text[first + size] < 0x80;)
            size++;
        if (size < length)
            add_word(image, used, text + first, size, 3);
    }
}

/* Shorter words would be found in most paths by chance. */
static void set_identity(pd_image *image, const pd_dicom *dicom)
{
    size_t used = 0;
    add_word(image, &used, dicom->patient_id, strlen(dicom->patient_id), 3);
    add_word(image, &used, dicom->birth_date, strlen(dicom->birth_date), 6);
    add_word(image, &used, dicom->accession, strlen(dicom->accession), 3);
    for (const char *part = dicom->patient_name; *part != '\0';) {
        size_t length = strcspn(part, "^= ,\\");
        add_word(image, &used, part, length, 3);
        add_ascii_parts(image, &used, part, length);
        part += length + (part[length] != '\0');
    }
}

static void set_patient(pd_image *image, const pd_dicom *dicom)
{
    char key[2 * PD_DICOM_TEXT];
    if (dicom->patient_id[0] == '\0')
        return;
    int length = snprintf(key, sizeof key, "%s%c%s", dicom->issuer, '\0', dicom->patient_id);
    pd_identity identity = pd_identity_of_bytes(key, (size_t)length);
    pd_identity_digest(image->patient, &identity, 1);
}

static void set_facts(pd_image *image, const pd_dicom *dicom)
{
    static const char *const radiography[] = {"", "CR", "DX", "RG", "DR", "RF", "OT", "SC", NULL};
    image->projection = projection_of(dicom);
    image->is_other = !is_one_of(dicom->modality, radiography);
    snprintf(image->modality, sizeof image->modality, "%s", dicom->modality);
    set_patient(image, dicom);
    set_identity(image, dicom);
}

static pd_status decode(pd_image *out, const unsigned char *bytes, size_t size)
{
    pd_status status;
    pd_dicom dicom;

    PD_TRY(pd_dicom_read(&dicom, bytes, size));
    PD_TRY(pd_alloc(&out->pixels, (size_t)dicom.height * (size_t)dicom.width, 1));
    out->height = dicom.height;
    out->width = dicom.width;
    PD_TRY(pd_dicom_grey(out->pixels, &dicom));
    set_facts(out, &dicom);

cleanup:
    if (status != PD_OK)
        pd_image_free(out);
    pd_dicom_free(&dicom);
    return status;
}

#else

static pd_status decode(pd_image *out, const unsigned char *bytes, size_t size)
{
    (void)out;
    (void)bytes;
    (void)size;
    return pd_fail("this build cannot read DICOM; install libdcmtk-dev, libtiff-dev, "
                   "libopenjp2-7-dev and g++, and build again");
}

#endif

const pd_image_format pd_image_format_dicom = {
    .name = "DICOM", .extensions = {".dcm", ".dicom"}, .recognises = is_dicom, .decode = decode};
