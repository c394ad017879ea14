/* DCMTK is C++: this file is the only one, and no exception leaves it. */
extern "C" {
#include "dicom_reader.h"
#include "jpeg2000.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/image.h"
}

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcdict.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dcmetinf.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dcsequen.h>
#include <dcmtk/dcmdata/dcxfer.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <dcmtk/oflog/oflog.h>

#include <climits>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>
#include <zlib.h>

namespace
{

/* Limits of what a hostile file makes DCMTK allocate: it keeps an object per element and descends
 * into nested sequences by recursion. Radiographs have a few hundred elements and items. */
constexpr size_t HEADER_MAX = 16 << 20, INFLATED_MAX = 2 * static_cast<size_t>(PD_IMAGE_FILE_MAX);
constexpr int ITEMS_MAX = 4096;

/* What is parsed: the data set's bytes, inflated if the transfer syntax is deflated. */
struct Source {
    const unsigned char *bytes;
    size_t size;
    E_TransferSyntax syntax;
    std::vector<unsigned char> inflated;
};

void prepare_library()
{
    static std::once_flag once;
    std::call_once(once, [] {
        OFLog::configure(OFLogger::OFF_LOG_LEVEL); /* messages are the caller's */
        DJDecoderRegistration::registerCodecs();
        DJLSDecoderRegistration::registerCodecs();
        DcmRLEDecoderRegistration::registerCodecs();
    });
}

/* --- Parsing --- */

/* Counts the item tags, in either byte order: no nesting is deeper. */
bool has_few_items(const unsigned char *bytes, size_t size)
{
    static const unsigned char little[] = {0xfe, 0xff, 0x00, 0xe0}, big[] = {0xff, 0xfe, 0xe0, 0};
    int count = 0;
    for (size_t i = 0; i + 4 <= size && count <= ITEMS_MAX; i++)
        if ((bytes[i] & 0xfe) == 0xfe && (bytes[i + 1] & 0xfe) == 0xfe)
            count += memcmp(bytes + i, little, 4) == 0 || memcmp(bytes + i, big, 4) == 0;
    return count <= ITEMS_MAX;
}

pd_status inflate_rest(Source &source)
{
    z_stream stream = {};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return pd_fail_system("out of memory for a deflated DICOM file");
    stream.next_in = const_cast<unsigned char *>(source.bytes);
    stream.avail_in = static_cast<uInt>(source.size);
    int result = Z_OK;
    while (result == Z_OK && source.inflated.size() < INFLATED_MAX) {
        const size_t block = 1 << 20, used = source.inflated.size();
        source.inflated.resize(used + block);
        stream.next_out = source.inflated.data() + used;
        stream.avail_out = block;
        result = inflate(&stream, Z_NO_FLUSH);
        source.inflated.resize(used + block - stream.avail_out);
    }
    inflateEnd(&stream);
    if (result == Z_OK)
        return pd_fail("the deflated DICOM file holds more than %zu MiB", INFLATED_MAX >> 20);
    if (result != Z_STREAM_END)
        return pd_fail("the deflated DICOM file is damaged or cut short");
    source.bytes = source.inflated.data();
    source.size = source.inflated.size();
    source.syntax = EXS_LittleEndianExplicit;
    return PD_OK;
}

/* Reads the meta header, if there is one, and finds the data set behind it. */
pd_status open_source(Source &source, const unsigned char *bytes, size_t size)
{
    DcmInputBufferStream stream;
    DcmMetaInfo meta;
    OFString uid;
    stream.setBuffer(bytes, static_cast<offile_off_t>(size));
    stream.setEos();
    meta.transferInit();
    const bool read = meta.read(stream).good();
    meta.transferEnd();
    if (!read)
        return pd_fail("the DICOM file's meta header is damaged");
    const size_t at = static_cast<size_t>(stream.tell());
    source.bytes = bytes + at;
    source.size = size - at;
    source.syntax = EXS_Unknown;
    if (meta.findAndGetOFString(DCM_TransferSyntaxUID, uid).good()) {
        source.syntax = DcmXfer(uid.c_str()).getXfer();
        if (source.syntax == EXS_Unknown)
            return pd_fail("the DICOM transfer syntax %s is not supported", uid.c_str());
    }
    return source.syntax == EXS_DeflatedLittleEndianExplicit ? inflate_rest(source) : PD_OK;
}

/* Parses the header and the pixel data, but nothing behind it. */
pd_status parse(DcmDataset &dataset, const Source &source)
{
    const DcmTagKey stop(0x7fe0, 0x0011);
    DcmInputBufferStream stream;
    const size_t first = source.size < HEADER_MAX ? source.size : HEADER_MAX;
    if (!has_few_items(source.bytes, source.size))
        return pd_fail("the DICOM file has more than %d sequence items or fragments", ITEMS_MAX);
    stream.setBuffer(source.bytes, static_cast<offile_off_t>(first));
    if (first == source.size)
        stream.setEos();
    dataset.transferInit();
    OFCondition done =
        dataset.readUntilTag(stream, source.syntax, EGL_noChange, DCM_MaxReadLength, stop);
    if (done == EC_StreamNotifyClient && first < source.size) {
        if (!dataset.tagExists(DCM_PixelData))
            return pd_fail("the DICOM header is larger than %zu MiB", HEADER_MAX >> 20);
        stream.releaseBuffer();
        stream.setBuffer(source.bytes + first, static_cast<offile_off_t>(source.size - first));
        stream.setEos();
        done = dataset.readUntilTag(stream, source.syntax, EGL_noChange, DCM_MaxReadLength, stop);
    }
    dataset.transferEnd();
    if (done.bad())
        return pd_fail("the DICOM file is damaged or cut short (%s)", done.text());
    return PD_OK;
}

/* --- Header --- */

/* The text of the first value, or of all; "" if there is none. */
void get_text(char *text, size_t size, DcmItem &item, const DcmTagKey &tag, bool all = false)
{
    OFString value;
    const bool found =
        (all ? item.findAndGetOFStringArray(tag, value) : item.findAndGetOFString(tag, value))
            .good();
    snprintf(text, size, "%s", found ? value.c_str() : "");
}

Uint16 get_number(DcmItem &item, const DcmTagKey &tag, Uint16 otherwise)
{
    Uint16 value;
    return item.findAndGetUint16(tag, value).good() ? value : otherwise;
}

void get_names(pd_dicom *out, DcmDataset &dataset)
{
    DcmItem *code = nullptr;
    get_text(out->modality, sizeof out->modality, dataset, DCM_Modality);
    get_text(out->view, sizeof out->view, dataset, DCM_ViewPosition);
    get_text(out->row_direction, sizeof out->row_direction, dataset, DCM_PatientOrientation);
    if (dataset.findAndGetSequenceItem(DCM_ViewCodeSequence, code).good())
        get_text(out->view_code, sizeof out->view_code, *code, DCM_CodeValue);
    get_text(out->patient_id, sizeof out->patient_id, dataset, DCM_PatientID);
    get_text(out->issuer, sizeof out->issuer, dataset, DCM_IssuerOfPatientID);
    get_text(out->patient_name, sizeof out->patient_name, dataset, DCM_PatientName, true);
    get_text(out->birth_date, sizeof out->birth_date, dataset, DCM_PatientBirthDate);
    get_text(out->accession, sizeof out->accession, dataset, DCM_AccessionNumber);
}

/* A value of 16 bits whose VR is US or SS. What it is compared with decides whether it is signed,
 * since implicit files do not state the VR and some explicit ones state the wrong one. */
bool get_either(int *out, DcmItem &item, const DcmTagKey &tag, unsigned long at, bool is_signed)
{
    Uint16 plain;
    Sint16 value;
    if (item.findAndGetUint16(tag, plain, at).bad()) {
        if (item.findAndGetSint16(tag, value, at).bad())
            return false;
        plain = static_cast<Uint16>(value);
    }
    *out = is_signed ? static_cast<Sint16>(plain) : plain;
    return true;
}

/* Whether the values that enter the VOI look-up table may be negative: those of a modality look-up
 * table are not (PS3.3 C.11.1.1.1), others are rescaled from what the stored bits hold. */
bool can_be_negative(const pd_dicom *dicom)
{
    const double values = std::ldexp(1.0, dicom->stored_bits);
    const double low = dicom->is_signed ? -values / 2 : 0, high = low + values - 1;
    return dicom->modality_lut.count == 0 &&
           std::fmin(dicom->slope * low, dicom->slope * high) + dicom->offset < 0;
}

/* `is_signed`: the values that enter the table are (PS3.3 C.11.1.1, C.11.2.1.1). */
pd_status get_lut(pd_dicom_lut *out, DcmDataset &dataset, const DcmTagKey &sequence, bool is_signed,
                  const char *name)
{
    DcmItem *item = nullptr;
    const Uint16 *data = nullptr;
    unsigned long words = 0;
    int count, bits;
    if (dataset.findAndGetSequenceItem(sequence, item).bad() || item->isEmpty())
        return PD_OK;
    if (!get_either(&count, *item, DCM_LUTDescriptor, 0, false) ||
        !get_either(&out->first, *item, DCM_LUTDescriptor, 1, is_signed) ||
        !get_either(&bits, *item, DCM_LUTDescriptor, 2, false) || bits < 8 || bits > 16 ||
        item->findAndGetUint16Array(DCM_LUTData, data, &words).bad() || data == nullptr)
        return pd_fail("the DICOM %s look-up table is damaged", name);
    count = count == 0 ? 1 << 16 : count;
    /* Entries of 8 bits may be packed in pairs. */
    const bool packed = bits == 8 && words == static_cast<unsigned long>(count + 1) / 2;
    if (!packed && words < static_cast<unsigned long>(count))
        return pd_fail("the DICOM %s look-up table has %lu entries instead of %d", name, words,
                       count);
    pd_status status = pd_alloc(&out->values, static_cast<size_t>(count), sizeof *out->values);
    for (int i = 0; status == PD_OK && i < count; i++)
        out->values[i] = !packed ? data[i] : i % 2 ? data[i / 2] >> 8 : data[i / 2] & 0xff;
    out->count = status == PD_OK ? count : 0;
    out->bits = bits;
    return status;
}

/* A window that the standard does not allow (PS3.3 C.11.2.1.2) is none. */
void get_window(pd_dicom *out, DcmDataset &dataset)
{
    Float64 centre, width;
    OFString function;
    if (dataset.findAndGetFloat64(DCM_WindowCenter, centre).bad() ||
        dataset.findAndGetFloat64(DCM_WindowWidth, width).bad() || !std::isfinite(centre) ||
        !std::isfinite(width))
        return;
    dataset.findAndGetOFString(DCM_VOILUTFunction, function);
    if (function == "SIGMOID" && width > 0)
        out->window = PD_DICOM_SIGMOID;
    else if (function == "LINEAR_EXACT" && width > 0)
        out->window = PD_DICOM_LINEAR_EXACT;
    else if ((function.empty() || function == "LINEAR") && width >= 1)
        out->window = PD_DICOM_LINEAR;
    out->centre = centre;
    out->span = width;
}

/* Padding is a stored value (PS3.3 C.7.5.1.1.2). */
void get_padding(pd_dicom *out, DcmDataset &dataset)
{
    int other;
    out->has_padding =
        get_either(&out->padding_low, dataset, DCM_PixelPaddingValue, 0, out->is_signed);
    out->padding_high = out->padding_low;
    if (out->has_padding &&
        get_either(&other, dataset, DCM_PixelPaddingRangeLimit, 0, out->is_signed)) {
        out->padding_high = other > out->padding_low ? other : out->padding_low;
        out->padding_low = other < out->padding_low ? other : out->padding_low;
    }
}

/* How a sample lies in its cell. */
struct Cell {
    int allocated, shift;
};

pd_status get_layout(pd_dicom *out, Cell *cell, DcmDataset &dataset)
{
    OFString colour;
    Sint32 frames = 1;
    dataset.findAndGetOFString(DCM_PhotometricInterpretation, colour);
    if (colour != "MONOCHROME1" && colour != "MONOCHROME2")
        return colour.empty()
                   ? pd_fail("the DICOM file has no image, or does not say what its values mean")
                   : pd_fail("the DICOM image is in colour (%s); a radiograph is grey",
                             colour.c_str());
    dataset.findAndGetSint32(DCM_NumberOfFrames, frames);
    if (frames > 1)
        return pd_fail("the DICOM file has %d frames; give one image per file",
                       static_cast<int>(frames));
    if (get_number(dataset, DCM_SamplesPerPixel, 1) != 1)
        return pd_fail("the DICOM image has several samples per pixel; a radiograph has one");
    out->height = get_number(dataset, DCM_Rows, 0);
    out->width = get_number(dataset, DCM_Columns, 0);
    pd_status status = pd_image_check_size(out->height, out->width);
    if (status != PD_OK)
        return status;
    cell->allocated = get_number(dataset, DCM_BitsAllocated, 0);
    out->stored_bits = get_number(dataset, DCM_BitsStored, static_cast<Uint16>(cell->allocated));
    const int high = get_number(dataset, DCM_HighBit, static_cast<Uint16>(out->stored_bits - 1));
    if ((cell->allocated != 8 && cell->allocated != 16) || out->stored_bits < 1 ||
        out->stored_bits > cell->allocated || high < out->stored_bits - 1 ||
        high >= cell->allocated)
        return pd_fail("the DICOM image has %d of %d bits, the highest at %d; 8 or 16 bits per "
                       "sample can be read",
                       out->stored_bits, cell->allocated, high);
    cell->shift = high + 1 - out->stored_bits;
    out->is_signed = get_number(dataset, DCM_PixelRepresentation, 0) == 1;
    out->inverted = colour == "MONOCHROME1";
    return PD_OK;
}

pd_status get_meaning(pd_dicom *out, DcmDataset &dataset)
{
    Float64 slope, offset;
    out->slope = dataset.findAndGetFloat64(DCM_RescaleSlope, slope).good() ? slope : 1;
    out->offset = dataset.findAndGetFloat64(DCM_RescaleIntercept, offset).good() ? offset : 0;
    if (!std::isfinite(out->slope) || !std::isfinite(out->offset) || out->slope == 0)
        return pd_fail("the DICOM image's rescale slope or intercept is damaged");
    get_window(out, dataset);
    get_padding(out, dataset);
    pd_status status =
        get_lut(&out->modality_lut, dataset, DCM_ModalityLUTSequence, out->is_signed, "modality");
    return status == PD_OK
               ? get_lut(&out->voi_lut, dataset, DCM_VOILUTSequence, can_be_negative(out), "VOI")
               : status;
}

/* --- Pixels --- */

/* Decodes JPEG 2000, which DCMTK does not, from the fragments of the only frame. */
pd_status decode_jpeg2000(pd_dicom *out, DcmPixelData *pixels, E_TransferSyntax syntax)
{
    DcmPixelSequence *sequence = nullptr;
    std::vector<unsigned char> stream;
    if (pixels->getEncapsulatedRepresentation(syntax, nullptr, sequence).bad() ||
        sequence == nullptr)
        return pd_fail("the DICOM file has no image");
    for (unsigned long i = 1; i < sequence->card(); i++) { /* item 0 is the offset table */
        DcmPixelItem *item = nullptr;
        Uint8 *bytes = nullptr;
        if (sequence->getItem(item, i).bad() || item->getUint8Array(bytes).bad())
            return pd_fail("the DICOM image is damaged: a fragment is missing");
        if (bytes != nullptr)
            stream.insert(stream.end(), bytes, bytes + item->getLength());
    }
    return pd_jpeg2000_decode(out->samples, out->height, out->width, stream.data(), stream.size());
}

/* Decodes the frame with DCMTK, taking the samples to have the bits of `allocated`. */
OFCondition decode_cells(pd_dicom *out, int allocated, DcmDataset &dataset, DcmPixelData *pixels)
{
    const size_t count = static_cast<size_t>(out->height) * static_cast<size_t>(out->width);
    const size_t bytes = count * static_cast<size_t>(allocated / 8), room = bytes + bytes % 2;
    std::vector<uint16_t> frame(room / 2);
    Uint32 fragment = 0;
    OFString colour;
    dataset.putAndInsertUint16(DCM_BitsAllocated, static_cast<Uint16>(allocated));
    const OFCondition done = pixels->getUncompressedFrame(&dataset, 0, fragment, frame.data(),
                                                          static_cast<Uint32>(room), colour);
    const uint8_t *narrow = reinterpret_cast<const uint8_t *>(frame.data());
    for (size_t i = 0; i < count; i++)
        out->samples[i] = allocated == 8 ? narrow[i] : frame[i];
    return done;
}

pd_status decode_frame(pd_dicom *out, const Cell &cell, DcmDataset &dataset, DcmPixelData *pixels,
                       bool encapsulated)
{
    const size_t bytes = static_cast<size_t>(out->height) * static_cast<size_t>(out->width) *
                         static_cast<size_t>(cell.allocated / 8);
    if (!encapsulated && pixels->getLength() < bytes)
        return pd_fail("the DICOM image is cut short: %lu of %zu bytes",
                       static_cast<unsigned long>(pixels->getLength()), bytes);
    OFCondition done = decode_cells(out, cell.allocated, dataset, pixels);
    /* Some writers compress samples of 8 bits although the header allocates 16. */
    if (done.bad() && encapsulated && cell.allocated == 16 && out->stored_bits <= 8)
        done = decode_cells(out, 8, dataset, pixels);
    if (done.bad())
        return pd_fail("the DICOM image is damaged or cut short (%s)", done.text());
    return PD_OK;
}

/* Whether DCMTK or OpenJPEG decodes the syntax, and which. */
bool is_jpeg2000(E_TransferSyntax syntax)
{
    return syntax == EXS_JPEG2000LosslessOnly || syntax == EXS_JPEG2000;
}

/* Whether the pixels are stored as they are. DCMTK's own function for this has another name in
 * version 3.6.9. */
bool is_native(E_TransferSyntax syntax)
{
    return syntax == EXS_LittleEndianImplicit || syntax == EXS_LittleEndianExplicit ||
           syntax == EXS_BigEndianExplicit || syntax == EXS_DeflatedLittleEndianExplicit;
}

pd_status get_samples(pd_dicom *out, Cell cell, DcmDataset &dataset)
{
    const E_TransferSyntax syntax = dataset.getOriginalXfer();
    const DcmXfer about(syntax);
    DcmElement *element = nullptr;
    if (dataset.findAndGetElement(DCM_PixelData, element).bad())
        return pd_fail("the DICOM file has no image");
    DcmPixelData *pixels = dynamic_cast<DcmPixelData *>(element);
    if (pixels == nullptr)
        return pd_fail("the DICOM file's image is damaged");
    if (!is_jpeg2000(syntax) && !pixels->canChooseRepresentation(EXS_LittleEndianExplicit, nullptr))
        return pd_fail("the DICOM transfer syntax %s is not supported", about.getXferName());
    pd_status status =
        pd_alloc(&out->samples, static_cast<size_t>(out->height) * static_cast<size_t>(out->width),
                 sizeof *out->samples);
    if (status != PD_OK)
        return status;
    status = is_jpeg2000(syntax) ? decode_jpeg2000(out, pixels, syntax)
                                 : decode_frame(out, cell, dataset, pixels, !is_native(syntax));
    if (status != PD_OK)
        return status;
    /* Codecs other than RLE deliver the value itself. */
    const int shift = is_native(syntax) || syntax == EXS_RLELossless ? cell.shift : 0;
    const unsigned mask = (1u << out->stored_bits) - 1;
    for (size_t i = 0; i < static_cast<size_t>(out->height) * static_cast<size_t>(out->width); i++)
        out->samples[i] = static_cast<uint16_t>((out->samples[i] >> shift) & mask);
    return PD_OK;
}

pd_status read(pd_dicom *out, const unsigned char *bytes, size_t size)
{
    Source source;
    DcmDataset dataset;
    Cell cell = {};
    prepare_library();
    if (!dcmDataDict.isDictionaryLoaded())
        return pd_fail("DCMTK's data dictionary is missing: install the package libdcmtk17 again");
    pd_status status = open_source(source, bytes, size);
    if (status == PD_OK)
        status = parse(dataset, source);
    if (status != PD_OK)
        return status;
    get_names(out, dataset);
    status = get_layout(out, &cell, dataset);
    if (status == PD_OK)
        status = get_meaning(out, dataset);
    return status == PD_OK ? get_samples(out, cell, dataset) : status;
}

pd_status guarded(pd_dicom *out, const unsigned char *bytes, size_t size)
{
    *out = pd_dicom{};
    try {
        return read(out, bytes, size);
    } catch (const std::bad_alloc &) {
        return pd_fail_system("out of memory for a DICOM file");
    } catch (...) {
        return pd_fail("the DICOM file is damaged");
    }
}

} // namespace

extern "C" {

pd_status pd_dicom_read(pd_dicom *out, const unsigned char *bytes, size_t size)
{
    return guarded(out, bytes, size);
}

void pd_dicom_free(pd_dicom *dicom)
{
    free(dicom->modality_lut.values);
    free(dicom->voi_lut.values);
    free(dicom->samples);
    *dicom = pd_dicom{};
}
}
