/* Folders, as pack lists them, alone and by a table of labels. The input is a line per file, a
 * letter for its kind and then its path; the first line gives options, and what follows a zero byte
 * is a table. */
#include "fuzz.h"

#include "data/scan.h"
#include "data/tree.h"
#include "pneumo/base/log.h"
#include "pneumo/io/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 64 };

static char root[PATH_MAX / 2];

/* Whether the path stays below its folder. */
static bool is_below(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        if (*at == '\0' || *at == '/' || strcmp(at, "..") == 0 || strncmp(at, "../", 3) == 0 ||
            strcmp(at, ".") == 0 || strncmp(at, "./", 2) == 0)
            return false;
    }
    return true;
}

/* Makes the file of a line. Returns whether there is one more than before, other than a folder. */
static bool make_file(const char *line, bool *has_links)
{
    static const char *const contents[] = {
        ['j'] = "\xff\xd8\xff\xe0", ['p'] = "\x89PNG\r\n\x1a\n", ['t'] = "text", ['e'] = ""};
    char path[PATH_MAX];
    const unsigned char kind = (unsigned char)line[0];
    struct stat info;
    if (kind == '\0' || !is_below(line + 1) ||
        (size_t)snprintf(path, sizeof path, "%s/%s", root, line + 1) >= sizeof path ||
        lstat(path, &info) == 0 || pd_folder_make_above(path) != PD_OK)
        return false;
    switch (kind) {
    case 'd':
        pd_folder_make(path);
        return false;
    case 'l':
        return symlink("nowhere", path) == 0;
    case 'o':
        return symlink("o", path) == 0; /* to itself, or to its neighbour */
    case 'u':
        *has_links |= symlink("..", path) == 0;
        return false;
    case 'f':
        return mkfifo(path, 0600) == 0;
    default: {
        const char *text = kind < sizeof contents / sizeof *contents ? contents[kind] : NULL;
        return text != NULL && pd_file_write(path, text, strlen(text)) == PD_OK;
    }
    }
}

/* What holds for every folder that is accepted. */
static void check_scan(const pd_scan *scan)
{
    char path[PATH_MAX];
    pd_tree tree;
    fuzz_check(pd_tree_list(&tree, root) == PD_OK, "the folder can be listed again");
    fuzz_check(scan->count + scan->left_out == tree.count, "every file is packed or left out");
    pd_tree_free(&tree);
    for (int64_t i = 0; i < scan->count; i++) {
        const pd_sample *sample = &scan->samples[i];
        snprintf(path, sizeof path, "%s/%s", root, sample->name);
        fuzz_check(access(path, R_OK) == 0, "every sample is a file");
        fuzz_check(sample->label == PD_NORMAL || sample->label == PD_PNEUMONIA, "labels");
        fuzz_check(sample->fold >= PD_TRAIN && sample->fold <= PD_TEST, "folds");
        fuzz_check(i == 0 || strcmp(scan->samples[i - 1].name, sample->name) < 0,
                   "samples are sorted, each once");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = fuzz_text(bytes, size), *rest = text;
    const size_t length = strlen(text);
    pd_log_set_quiet(true);
    snprintf(root, sizeof root, "%s/images", fuzz_folder());
    pd_folder_remove(root);
    fuzz_check(pd_folder_make(root) == PD_OK, "a folder for the images");

    const char *flags = strsep(&rest, "\n");
    bool has_links = false;
    int64_t files = 0;
    for (int i = 0; i < FILES && rest != NULL; i++)
        files += make_file(strsep(&rest, "\n"), &has_links);

    pd_scan_options options = {.folder = root,
                               .recursive = strchr(flags, 'r') != NULL,
                               .allow_rest = strchr(flags, 'a') != NULL,
                               .allow_missing = strchr(flags, 'm') != NULL,
                               .keep_folds = strchr(flags, 'k') != NULL,
                               .keep_lateral = strchr(flags, 'l') != NULL};
    pd_status (*scan_files)(pd_scan *, const pd_scan_options *) = pd_scan_folder;
    if (length < size) {
        options.labels = fuzz_file("labels.csv", bytes + length + 1, size - length - 1);
        scan_files = pd_scan_labels;
    }
    pd_scan scan;
    if (scan_files(&scan, &options) == PD_OK) {
        check_scan(&scan);
        fuzz_check(has_links || scan.count + scan.left_out == files, "every file counts once");
    }
    pd_scan_free(&scan);
    free(text);
    return 0;
}
