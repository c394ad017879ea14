/* Listing the files that a command line names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/memory.h"
#include "pneumo/data/files.h"
#include "pneumo/io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64], before[4096];

static int enter_folder(void **state)
{
    (void)state;
    strcpy(root, "files-XXXXXX");
    return mkdtemp(root) != NULL && getcwd(before, sizeof before) != NULL ? chdir(root) : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return chdir(before) == 0 ? system(command) : -1;
}

static void add(const char *path)
{
    assert_int_equal(pd_folder_make_above(path), PD_OK);
    assert_int_equal(pd_file_write(path, "", 0), PD_OK);
}

/* The files found, joined by '|'. */
static char *find(const char *const *names, int count)
{
    static char joined[8192];
    pd_files files;
    assert_int_equal(pd_files_find(&files, names, count), PD_OK);
    joined[0] = '\0';
    for (int64_t i = 0; i < files.count; i++)
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s", i > 0 ? "|" : "",
                 files.paths[i]);
    pd_files_free(&files);
    return joined;
}

static char *find_one(const char *name)
{
    return find(&name, 1);
}

static void a_folder_is_listed_in_the_byte_order_of_paths(void **state)
{
    (void)state;
    add("dir/b.png");
    add("dir/B.png");
    add("dir/a/z.jpeg");
    add("dir/a.png");
    add("dir/a-b/1");
    add("dir/a0/1");
    add("dir/a/deep/er/x");
    add("dir/\xff");
    assert_string_equal(
        find_one("dir"),
        "dir/B.png|dir/a-b/1|dir/a.png|dir/a/deep/er/x|dir/a/z.jpeg|dir/a0/1|dir/b.png|dir/\xff");
    assert_string_equal(find_one("dir/a/"), "dir/a/deep/er/x|dir/a/z.jpeg");
}

static void names_keep_their_order(void **state)
{
    (void)state;
    add("z");
    add("dir/1");
    add("dir/2");
    const char *const names[] = {"z", "dir", "nowhere/x.png", "dir/2", "z"};
    assert_string_equal(find(names, 5), "z|dir/1|dir/2|nowhere/x.png|dir/2|z");
}

static void hidden_files_are_left_out_unless_named(void **state)
{
    (void)state;
    add(".cache/.x.png");
    add("dir/.hidden.png");
    add("dir/.folder/x.png");
    add("dir/seen.png");
    assert_string_equal(find_one("dir"), "dir/seen.png");
    assert_string_equal(find_one("dir/.hidden.png"), "dir/.hidden.png");
    assert_string_equal(find_one("dir/.folder"), "dir/.folder/x.png");
    assert_string_equal(find_one("."), "./dir/seen.png");
}

static void links_are_followed_but_not_in_circles(void **state)
{
    (void)state;
    add("dir/x.png");
    add("other/y.png");
    assert_int_equal(symlink("..", "dir/up"), 0);
    assert_int_equal(symlink("../other", "dir/other"), 0);
    assert_int_equal(symlink("../other/y.png", "dir/y.png"), 0);
    assert_int_equal(symlink("gone", "dir/dangling.png"), 0);
    assert_int_equal(symlink("loop", "dir/loop"), 0);
    assert_string_equal(find_one("dir"), "dir/dangling.png|dir/loop|dir/other/y.png|"
                                         "dir/up/other/y.png|dir/x.png|dir/y.png");
}

static void only_regular_files_of_a_folder_count(void **state)
{
    (void)state;
    add("dir/x.png");
    assert_int_equal(mkfifo("dir/pipe", 0600), 0);
    assert_int_equal(mkdir("dir/empty", 0700), 0);
    assert_string_equal(find_one("dir"), "dir/x.png");
    assert_string_equal(find_one("dir/pipe"), "dir/pipe");
    assert_string_equal(find_one("dir/empty"), "");
    pd_files files;
    assert_int_equal(pd_files_find(&files, (const char *[]){"dir", ""}, 2), PD_FAILED);
    pd_files_free(&files);
}

static void a_list_can_be_rebuilt_from_its_text(void **state)
{
    (void)state;
    add("dir/1");
    add("dir/2");
    pd_files files, copy = {0};
    assert_int_equal(pd_files_find(&files, (const char *[]){"dir"}, 1), PD_OK);
    copy.size = files.size;
    assert_int_equal(pd_alloc(&copy.text, copy.size, 1), PD_OK);
    memcpy(copy.text, files.text, copy.size);
    assert_int_equal(pd_files_index(&copy), PD_OK);
    assert_int_equal(copy.count, 2);
    assert_string_equal(copy.paths[0], "dir/1");
    assert_string_equal(copy.paths[1], "dir/2");
    pd_files_free(&files);
    pd_files_free(&copy);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_folder_is_listed_in_the_byte_order_of_paths),
        IN_FOLDER(names_keep_their_order),
        IN_FOLDER(hidden_files_are_left_out_unless_named),
        IN_FOLDER(links_are_followed_but_not_in_circles),
        IN_FOLDER(only_regular_files_of_a_folder_count),
        IN_FOLDER(a_list_can_be_rebuilt_from_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
