/* Tables of labels in the layouts that others publish, and the images that they list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/scan.h"
#include "pneumo/base/log.h"
#include "pneumo/io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char root[64], images[128], table[128];

static int enter_folder(void **state)
{
    (void)state;
    pd_log_set_quiet(true);
    strcpy(root, "labels-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(images, sizeof images, "%s/images", root);
    snprintf(table, sizeof table, "%s/table.csv", root);
    return pd_folder_make(images) == PD_OK ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* Creates empty files below `images`, since scanning only looks at names with a known extension. */
static void add(const char *const *names)
{
    for (; *names != NULL; names++) {
        char path[256], folder[256];
        snprintf(path, sizeof path, "%s/%s", images, *names);
        snprintf(folder, sizeof folder, "%s", path);
        *strrchr(folder, '/') = '\0';
        assert_int_equal(pd_folder_make(folder), PD_OK);
        assert_int_equal(pd_file_write(path, "", 0), PD_OK);
    }
}

static pd_status scan_text(pd_scan *scan, const char *text, pd_scan_options options)
{
    assert_int_equal(pd_file_write(table, text, strlen(text)), PD_OK);
    options.folder = images;
    options.labels = table;
    return pd_scan_labels(scan, &options);
}

/* Scans and compares "label fold cause patient name" of every sample: N or P; t, v or e; -, b, v or
 * ?. */
static void expect(const char *text, pd_scan_options options, const char *const *wanted)
{
    pd_scan scan;
    int64_t count = 0;
    if (scan_text(&scan, text, options) != PD_OK)
        fail_msg("%s", pd_error_message());
    for (; wanted[count] != NULL; count++) {
        char line[256];
        assert_true(count < scan.count);
        const pd_sample *sample = &scan.samples[count];
        const pd_scan_hint *hint = &scan.hints[count];
        snprintf(line, sizeof line, "%c%c%c %s %s", "NP"[sample->label], "tve"[sample->fold],
                 "-bv?"[hint->cause], hint -> patient ? hint -> patient : "-", sample->name);
        assert_string_equal(line, wanted[count]);
    }
    assert_int_equal(scan.count, count);
    pd_scan_free(&scan);
}

static void refuse(const char *text, pd_scan_options options, const char *words)
{
    pd_scan scan;
    assert_int_equal(scan_text(&scan, text, options), PD_FAILED);
    if (strstr(pd_error_message(), words) == NULL)
        fail_msg("'%s' does not say '%s'", pd_error_message(), words);
    pd_scan_free(&scan);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PLAIN     ((pd_scan_options){0})

/* --- Layouts --- */

static void nih(void **state)
{
    (void)state;
    add(LIST("images_001/images/00000001_000.png", "images_001/images/00000001_001.png",
             "images_002/images/00000002_000.png", "images_002/images/00000003_000.png"));
    expect("Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age\r\n"
           "00000001_000.png,Cardiomegaly|Pneumonia,0,1,58\r\n"
           "00000001_001.png,No Finding,1,1,58\r\n"
           "00000002_000.png,Effusion|Hernia,0,2,81\r\n"
           "00000003_000.png,No Finding,0,3,74\r\n",
           PLAIN,
           LIST("Pt? 1 images_001/images/00000001_000.png",
                "Nt? 1 images_001/images/00000001_001.png",
                "Nt? 3 images_002/images/00000003_000.png"));
}

static void chexpert(void **state)
{
    (void)state;
    add(LIST("train/patient00001/study1/view1_frontal.jpg",
             "train/patient00002/study1/view1_frontal.jpg",
             "train/patient00002/study2/view1_frontal.jpg",
             "train/patient00003/study1/view1_frontal.jpg",
             "train/patient00004/study1/view1_frontal.jpg",
             "train/patient00004/study1/view2_lateral.jpg"));
    const pd_scan_options any_view[] = {{.columns = "view="}, {.keep_lateral = true}};
    const char view[] = "Path,Frontal/Lateral,No Finding,Pneumonia\n"
                        "train/patient00001/study1/view1_frontal.jpg,Frontal,1.0,\n"
                        "train/patient00002/study1/view1_frontal.jpg,Frontal,,\n"
                        "train/patient00002/study2/view1_frontal.jpg,Frontal,,\n"
                        "train/patient00003/study1/view1_frontal.jpg,Frontal,,\n"
                        "train/patient00004/study1/view1_frontal.jpg,Frontal,,1.0\n"
                        "train/patient00004/study1/view2_lateral.jpg,Lateral,,1.0\n";
    expect(view, PLAIN,
           LIST("Nt? - train/patient00001/study1/view1_frontal.jpg",
                "Pt? - train/patient00004/study1/view1_frontal.jpg"));
    for (int i = 0; i < 2; i++)
        expect(view, any_view[i],
               LIST("Nt? - train/patient00001/study1/view1_frontal.jpg",
                    "Pt? - train/patient00004/study1/view1_frontal.jpg",
                    "Pt? - train/patient00004/study1/view2_lateral.jpg"));
    expect("Path,Sex,Age,No Finding,Lung Opacity,Pneumonia,Support Devices\n"
           "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,F,68,1.0,,,1.0\n"
           "CheXpert-v1.0-small/train/patient00002/study1/view1_frontal.jpg,F,87,,-1.0,1.0,\n"
           "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,F,87,,1.0,-1.0,\n"
           "CheXpert-v1.0-small/train/patient00003/study1/view1_frontal.jpg,M,60,0.0,,0.0,\n"
           "CheXpert-v1.0-small/train/patient00004/study1/view1_frontal.jpg,M,60,0,,1,1\n",
           PLAIN,
           LIST("Nt? - train/patient00001/study1/view1_frontal.jpg",
                "Pt? - train/patient00002/study1/view1_frontal.jpg",
                "Pt? - train/patient00004/study1/view1_frontal.jpg"));
}

static void rsna(void **state)
{
    (void)state;
    add(LIST("0004cfab.png", "00313ee0.png", "00436515.png"));
    expect("patientId,x,y,width,height,Target\n"
           "0004cfab,,,,,0\n"
           "00436515,264.0,152.0,213.0,379.0,1\n"
           "00436515,562.0,152.0,256.0,453.0,1\n"
           "00313ee0,,,,,0\n",
           PLAIN,
           LIST("Nt? 0004cfab 0004cfab.png", "Nt? 00313ee0 00313ee0.png",
                "Pt? 00436515 00436515.png"));
    expect("patientId,class\n0004cfab,No Lung Opacity / Not Normal\n00436515,Lung Opacity\n"
           "00313ee0,Normal\n",
           (pd_scan_options){.classes = {NULL, "Lung Opacity"}},
           LIST("Nt? 00313ee0 00313ee0.png", "Pt? 00436515 00436515.png"));
}

static void vindr(void **state)
{
    (void)state;
    add(LIST("train/50a418190bc3.png", "train/9a5094b2563a.png", "train/051132a778e6.png",
             "train/063319de25ce.png"));
    const char text[] = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
                        "50a418190bc3,No finding,14,R11,,,,\n"
                        "50a418190bc3,No finding,14,R7,,,,\n"
                        "9a5094b2563a,Cardiomegaly,3,R10,691,1375,1653,1831\n"
                        "051132a778e6,Consolidation,4,R10,1264,743,1611,1019\n"
                        "051132a778e6,Cardiomegaly,3,R8,691,1375,1653,1831\n"
                        "063319de25ce,Lung Opacity,7,R9,1,2,3,4\n";
    expect(text, (pd_scan_options){.classes = {NULL, "Consolidation|lung opacity"}},
           LIST("Pt? - train/051132a778e6.png", "Pt? - train/063319de25ce.png",
                "Nt? - train/50a418190bc3.png"));
    refuse(text, PLAIN,
           "no row has a finding of the class PNEUMONIA, which are 'Pneumonia|Pnemonia|1'; labels "
           "are 'No finding', 'Cardiomegaly', 'Consolidation', 'Lung Opacity' (--pneumonia 'A|B'");
}

static void coronahack(void **state)
{
    (void)state;
    add(LIST("train/IM-0128-0001.jpeg", "train/person1_bacteria_2.jpeg", "test/IM-0001-0001.jpeg",
             "test/1-s2.0-fig4.jpeg", "train/person4_virus_9.jpeg"));
    const char text[] = ",X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,"
                        "Label_1_Virus_category\n"
                        "0,IM-0128-0001.jpeg,Normal,TRAIN,,\n"
                        "1,person1_bacteria_2.jpeg,Pnemonia,TRAIN,,bacteria\n"
                        "2,IM-0001-0001.jpeg,Normal,TEST,,\n"
                        "3,1-s2.0-fig4.jpeg,Pnemonia,TEST,COVID-19,Virus\n"
                        "4,person4_virus_9.jpeg,Pnemonia,TRAIN,,Stress-Smoking\n";
    expect(text, (pd_scan_options){.keep_folds = true},
           LIST("Pev - test/1-s2.0-fig4.jpeg", "Ne? - test/IM-0001-0001.jpeg",
                "Nt? - train/IM-0128-0001.jpeg", "Ptb - train/person1_bacteria_2.jpeg",
                "Pt? - train/person4_virus_9.jpeg"));
}

/* --- Columns and files --- */

static void columns_are_named(void **state)
{
    (void)state;
    add(LIST("a.png", "b.png", "c.png"));
    const char text[] =
        "wo;was;wer;wohin;warum\na.png;krank;p1;valid;virus\nb.png;gesund;p2;test;\n"
        "c.png;krank;p2;x;bacterial\n";
    pd_scan_options options = {.classes = {"gesund", "krank"},
                               .columns =
                                   "path=wo,label=was,\"patient=wer\",fold=WOHIN,cause=warum"};
    expect(text, options, LIST("Pvv p1 a.png", "Ne? p2 b.png", "Ptb p2 c.png"));
    options.keep_folds = true;
    refuse(text, options, "line 4: the fold 'x' is unknown");
    options.columns = "path=wo,label=nix";
    refuse(text, options, "there is no column 'nix'; its columns are 'wo', 'was', 'wer'");
    options.columns = "path=wo,side=was";
    refuse(text, options, "'side=was' is not of the form ROLE=COLUMN");
    options.columns = NULL;
    refuse(text, options, "cannot tell which column is the path of the image");
    refuse("path,x\na.png,1\n", options, "cannot tell which column is the label");
    refuse("path,label\n", options, "no rows below its header");
    refuse("path,label\n,krank\n", options, "line 2: the path is empty");
    /* The rows' numbers, as pandas writes them, are not a column to choose. */
    const char numbered[] = ",path,label,patient_id\n0,a.png,0,p1\n1,b.png,1,p2\n2,c.png,1,p2\n";
    expect(numbered, PLAIN, LIST("Nt? p1 a.png", "Pt? p2 b.png", "Pt? p2 c.png"));
    expect(numbered, (pd_scan_options){.columns = "patient="},
           LIST("Nt? - a.png", "Pt? - b.png", "Pt? - c.png"));
}

static void a_file_is_not_a_folder(void **state)
{
    (void)state;
    strcpy(images, table);
    refuse("path,label\na.png,0\nb.png,1\n", PLAIN, "table.csv is not a folder; give");
}

/* Own tables that look like CheXpert, VinDr-CXR, RSNA or NIH have patients and folds, too. */
static void layouts_are_completed(void **state)
{
    (void)state;
    add(LIST("a.png", "b.png"));
    static const char *const texts[] = {
        "path,normal,pneumonia,patient,fold,view\na.png,1,0,p1,train,PA\nb.png,0,1,p2,val,PA\n",
        "image_id,class_name,patient_id,split\na,No Finding,p1,train\nb,Pneumonia,p2,valid\n",
        "Image Index,Finding Labels,Patient ID,split,view\na.png,Normal,p1,train,AP\n"
        "b.png,Pneumonia,p2,VAL,AP\n",
        "X_ray_image_name,Label,Dataset_type,Label_1_Virus_category,subject\na.png,Normal,TRAIN,,p1"
        "\nb.png,Pnemonia,val,,p2\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect(texts[i], (pd_scan_options){.keep_folds = true},
               LIST("Nt? p1 a.png", "Pv? p2 b.png"));
    refuse("path,normal,pneumonia,view\na.png,1,0,PA\nb.png,0,1,lateral\n", PLAIN,
           "no image of the class PNEUMONIA is in");
}

static void ambiguous_columns_are_refused(void **state)
{
    (void)state;
    add(LIST("a.png", "b.png"));
    const char rows[] = "a.png,0,x,y\nb.png,1,x,y\n";
    char text[256];
    static const char *const cases[][2] = {
        {"path,label,Path,z\n", "columns 1 and 3 have the same name, 'path'"},
        {"path,label,patient,patient\n", "columns 3 and 4 have the same name, 'patient'"},
        {"path,pneumonia,normal,Pneumonia\n", "columns 2 and 4 have the same name, 'pneumonia'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "%s%s", cases[i][0], rows);
        refuse(text, PLAIN, cases[i][1]);
    }
    snprintf(text, sizeof text, "path,label,z,z\n%s", rows);
    expect(text, PLAIN, LIST("Nt? - a.png", "Pt? - b.png"));
    refuse("path,label,x,y\na.png,0\nb.png,1\n",
           (pd_scan_options){.columns = "patient=x,fold=y,patient=y"},
           "--columns: 'patient=x' and 'patient=y' both give the patient");
}

static void rows_fit_the_header(void **state)
{
    (void)state;
    add(LIST("a.png", "b.png"));
    refuse(
        "path,label,patient\na.png,0,p1\nb.png,1,Smith, John\n", PLAIN,
        "line 3 has 4 fields, but the header in line 1 3; put a field that contains a separator");
    /* Spreadsheets write separators without fields, and rows of them at the end. */
    expect("path,label,patient\na.png,0,p1,,\nb.png,1\n,,\n,,\n", PLAIN,
           LIST("Nt? p1 a.png", "Pt? - b.png"));
    refuse("path,label,patient\na.png,0,p1\n,,\nb.png,1,p2\n", PLAIN, "line 3: the path is empty");
    refuse("path,label\n,\n,\n", PLAIN, "no rows below its header");
}

static void files_are_found(void **state)
{
    (void)state;
    add(LIST("one/x/a.png", "two/x/a.png", "b.JPG", "deep/er/c.jpeg", "d d.png", "e.v1.png",
             "\xe9.png", "sub/f.png"));
    expect("path,label\n"
           "/data/two/x/a.png,1\n" /* more folders than here, one name of two */
           "one\\x\\a.png,0\n"     /* as Windows writes it */
           "b,1.0\n"               /* without extension */
           "./deep/er/c.dcm,0\n"   /* of another format before */
           "d d.png,pneumonia\n"
           "e.v1,NORMAL\n"
           "\xe9.png,0\n" /* Latin-1, as is the name */
           "f.png,0\n",
           PLAIN,
           LIST("Pt? - b.JPG", "Pt? - d d.png", "Nt? - deep/er/c.jpeg", "Nt? - e.v1.png",
                "Nt? - one/x/a.png", "Nt? - sub/f.png", "Pt? - two/x/a.png", "Nt? - \xe9.png"));
    refuse("path,label\na.png,1\nb,0\n", PLAIN,
           "line 2: 'a.png' may be one/x/a.png or two/x/a.png");
    refuse("path,label\nx/a.png,1\nb,0\n", PLAIN, "may be one/x/a.png or two/x/a.png");
    refuse("path,label\nother/f.png,1\nb,0\n", PLAIN, "the image of 1 row is not in");
}

/* Numbers after a dot, as in DICOM's UIDs, are no extension. */
static void numbers_are_no_extension(void **state)
{
    (void)state;
    add(LIST("1.2.3.jpeg", "1.2.5.png", "1.2.6.png"));
    refuse("path,label\n1.2.3.4,1\n1.2.5,0\n1.2.6,0\n", PLAIN, "such as '1.2.3.4' (line 2)");
    expect("path,label\n1.2.3,1\n1.2.5.dcm,0\n1.2.6.JFIF,0\n", PLAIN,
           LIST("Pt? - 1.2.3.jpeg", "Nt? - 1.2.5.png", "Nt? - 1.2.6.png"));
}

/* Among many files of one name, as CheXpert has, the paths decide: the same, else one that ends in
 * the row's, else the longest that the row's ends in. */
static void folders_decide(void **state)
{
    (void)state;
    add(LIST("view.jpg", "p1/view.jpg", "xp1/view.jpg", "t/p1/view.jpg", "t/p2/view.jpg",
             "p3/s/view.jpg", "other.png"));
    const char rest[] = "other,0\n";
    static const char *const cases[][2] = {{"p1/view.jpg", "Pt? - p1/view.jpg"},
                                           {"view.jpg", "Pt? - view.jpg"},
                                           {"a/t/p1/view.jpg", "Pt? - t/p1/view.jpg"},
                                           {"b/p1/view.jpg", "Pt? - p1/view.jpg"},
                                           {"p2/view.png", "Pt? - t/p2/view.jpg"},
                                           {"a/p3/s/view", "Pt? - p3/s/view.jpg"},
                                           {"p4/s/view", "Pt? - view.jpg"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "path,label\n%s,1\n%s", cases[i][0], rest);
        pd_scan scan;
        if (scan_text(&scan, text, (pd_scan_options){.allow_rest = true}) != PD_OK)
            fail_msg("%s", pd_error_message());
        assert_int_equal(scan.count, 2);
        for (int64_t j = 0; j < 2; j++)
            if (scan.samples[j].label == PD_PNEUMONIA)
                assert_string_equal(scan.samples[j].name, cases[i][1] + 6);
        pd_scan_free(&scan);
    }
}

static void missing_images_are_named(void **state)
{
    (void)state;
    add(LIST("a.png", "b.png"));
    const char text[] = "path,label\na.png,0\nb.png,1\nc.png,1\nd.png,other\ne.png,0\n";
    refuse(text, PLAIN, "the images of 2 rows are not in");
    assert_non_null(strstr(pd_error_message(), "such as 'c.png' (line 4); --allow-missing"));
    expect(text, (pd_scan_options){.allow_missing = true}, LIST("Nt? - a.png", "Pt? - b.png"));
    refuse("path,label\na.png,0\nc.png,1\n", (pd_scan_options){.allow_missing = true},
           "no image of the class PNEUMONIA is in");
}

static void unlisted_images_are_left_out(void **state)
{
    (void)state;
    add(LIST("a.png", "b.png", "c.png", "d.png", "e.png", "notes.txt", ".hidden.png"));
    expect("path,label\na.png,0\nb.png,1\nc.png,other\nd.png,other\n", PLAIN,
           LIST("Nt? - a.png", "Pt? - b.png"));
    refuse("path,label\na.png,0\nb.png,1\nc.png,other\n", PLAIN, "2 of 5 images would be left out");
    expect("path,label\na.png,0\nb.png,1\n", (pd_scan_options){.allow_rest = true},
           LIST("Nt? - a.png", "Pt? - b.png"));
}

static void conflicts_are_named(void **state)
{
    (void)state;
    add(LIST("a.png", "b.png", "c.png"));
    const char *header = "path,label,patient,split\n", *rows = "b.png,1,x,train\nc.png,0,y,train\n";
    static const char *const cases[][2] = {
        {"a.png,1,1,train\na.png,0,1,train\n", "lines 4 and 5 give a.png two classes"},
        {"a.png,0,1,train\n\na.png,1,1,train\n", "lines 4 and 6 give a.png two classes"},
        {"a.png,Normal|Pneumonia,1,train\n", "line 4: a.png has findings of both classes"},
        {"a.png,0,1,train\na.png,Effusion,1,train\n", "lines 4 and 5 give a.png two findings"},
        {"a.png,1,1,train\na,1,2,train\n", "lines 4 and 5 give a.png two patients"},
        {"a.png,1,1,train\na.png,1,1,test\n", "lines 4 and 5 give a.png two folds"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s%s%s", header, rows, cases[i][0]);
        refuse(text, PLAIN, cases[i][1]);
    }
    expect("path,label,patient\nb.png,1,x\nc.png,0,y\na.png,1,1\na.png,Effusion,\na.png,1,1\n",
           PLAIN, LIST("Pt? 1 a.png", "Pt? x b.png", "Nt? y c.png"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)
    const struct CMUnitTest tests[] = {
        TEST(nih),
        TEST(chexpert),
        TEST(rsna),
        TEST(vindr),
        TEST(coronahack),
        TEST(columns_are_named),
        TEST(a_file_is_not_a_folder),
        TEST(layouts_are_completed),
        TEST(ambiguous_columns_are_refused),
        TEST(rows_fit_the_header),
        TEST(files_are_found),
        TEST(numbers_are_no_extension),
        TEST(folders_decide),
        TEST(missing_images_are_named),
        TEST(unlisted_images_are_left_out),
        TEST(conflicts_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
