#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/file.h"
#include "pneumo/train/run_view.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const char folder[] = "run_view";

static const char header[] = "phase,epoch,epochs,step,steps,loss,learning_rate,images_per_second,"
                             "seconds_left,ranks,threads,process,host\n";

static void write_text(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (pd_file_write(path, text, strlen(text)) != PD_OK)
        fail_msg("%s", pd_error_message());
}

static void clear(void)
{
    assert_int_equal(pd_folder_remove(folder), PD_OK);
    assert_int_equal(mkdir(folder, 0777), 0);
}

static pd_run_view read_view(void)
{
    pd_run_view view;
    if (pd_run_view_read(&view, folder) != PD_OK)
        fail_msg("%s", pd_error_message());
    return view;
}

static void check_life(pd_run_life expected)
{
    pd_run_view view = read_view();
    assert_int_equal(view.life, expected);
    assert_int_equal(pd_run_view_is_live(&view),
                     expected == PD_LIFE_STARTING || expected == PD_LIFE_RUNNING);
    pd_run_view_free(&view);
}

static pd_run_status make_status(pd_run_phase phase)
{
    return (pd_run_status){.phase = phase,
                           .epoch = 7,
                           .epochs = 24,
                           .step = 31,
                           .steps = 57,
                           .loss = 0.125,
                           .learning_rate = 1e-3,
                           .images_per_second = NAN,
                           .seconds_left = 725.5,
                           .ranks = 3,
                           .threads = 2};
}

/* A status of another process: a number that none has, or this one's. */
static void write_status(const char *phase, long process, const char *host)
{
    char text[512];
    snprintf(text, sizeof text, "%s%s,7,24,31,57,0.5,,,,1,1,%ld,%s\n", header, phase, process,
             host);
    write_text("status.csv", text);
}

static void test_status(void **state)
{
    (void)state;
    pd_run_status out, in = make_status(PD_RUN_TRAINING);
    bool found = true;
    clear();
    assert_int_equal(pd_run_status_read(&out, &found, folder), PD_OK);
    assert_false(found);
    pd_run_status_enter(folder, PD_RUN_FINISHED); /* nothing to enter */
    assert_int_equal(pd_run_status_read(&out, &found, folder), PD_OK);
    assert_false(found);
    for (int flush = 0; flush < 2; flush++) {
        assert_true(pd_run_status_write(folder, &in, flush));
        assert_int_equal(pd_run_status_read(&out, &found, folder), PD_OK);
        assert_true(found && out.phase == PD_RUN_TRAINING && out.epoch == 7 && out.epochs == 24);
        assert_true(out.step == 31 && out.steps == 57 && out.ranks == 3 && out.threads == 2);
        assert_true(out.loss == 0.125 && out.learning_rate == 1e-3 && out.seconds_left == 725.5);
        assert_true(isnan(out.images_per_second));
        assert_int_equal(out.process, getpid());
        assert_in_range(out.age, 0, 2);
    }
    pd_run_status_enter(folder, PD_RUN_STOPPED);
    assert_int_equal(pd_run_status_read(&out, &found, folder), PD_OK);
    assert_true(out.phase == PD_RUN_STOPPED && out.epoch == 7 && out.seconds_left == 725.5);
}

/* A failure to write is no failure of the run: its own message stays. */
static void test_unwritable_status(void **state)
{
    (void)state;
    pd_run_status in = make_status(PD_RUN_TRAINING);
    pd_fail("the run's own message");
    assert_false(pd_run_status_write("no/such/folder", &in, false));
    assert_string_equal(pd_error_message(), "the run's own message");
}

static void test_damaged_status(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       "training",
                                       "walking,7,24,31,57,0.5,,,,1,1,5,host\n",
                                       "training,-7,24,31,57,0.5,,,,1,1,5,host\n",
                                       "training,7,99999999999,31,57,0.5,,,,1,1,5,host\n",
                                       "training,7,24,31,57,nan,,,,1,1,5,host\n",
                                       "training,7,24,31,57,0.5x,,,,1,1,5,host\n",
                                       "training,7,24,31,57,0.5,,,,1,,5,host\n",
                                       "training,7,24,31,57,0.5,,,,1,1\n"};
    char text[512];
    pd_run_status out;
    bool found;
    clear();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, "%s%s", header, rows[i]);
        write_text("status.csv", text);
        if (pd_run_status_read(&out, &found, folder) == PD_OK)
            fail_msg("'%s' is read", rows[i]);
        assert_non_null(strstr(pd_error_message(), "run_view/status.csv: is damaged"));
    }
    write_text("status.csv", "another header\ntraining,7,24,31,57,0.5,,,,1,1,5,host\n");
    assert_int_equal(pd_run_status_read(&out, &found, folder), PD_FAILED);
}

static void test_history(void **state)
{
    (void)state;
    clear();
    write_text("history.csv", "epoch,train_loss,new_column,val_auc\n1,0.5,x7,nan\n");
    pd_run_view view;
    assert_int_equal(pd_run_view_read(&view, folder), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "history.csv: line 2 is not"));
    pd_run_view_free(&view);
    write_text("history.csv", "epoch,train_loss,new_column,val_auc\n1,0.5,7,nan\n2,0.25,8,0.75\n");
    view = read_view();
    assert_int_equal(view.count, 2);
    assert_true(view.rows[0].epoch == 1 && view.rows[0].train_loss == 0.5);
    assert_true(isnan(view.rows[0].val_auc) && isnan(view.rows[1].val_loss));
    assert_true(view.rows[1].epoch == 2 && view.rows[1].val_auc == 0.75);
    pd_run_view_free(&view);
    static const char *const damaged[] = {"",
                                          "\n",
                                          "a,b\n1,2\n",
                                          "epoch,val_auc\n1\n",
                                          "epoch,val_auc\n1,2,3\n",
                                          "epoch,val_auc\n0,1\n",
                                          "epoch,val_auc\n1,\n",
                                          "epoch,val_auc\n\n"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        write_text("history.csv", damaged[i]);
        if (pd_run_view_read(&view, folder) == PD_OK)
            fail_msg("'%s' is read", damaged[i]);
        pd_run_view_free(&view);
    }
}

static void test_life_without_lock(void **state)
{
    (void)state;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    pd_run_view view;
    clear();
    assert_int_equal(pd_run_view_read(&view, folder), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "run_view: no run there: "));
    pd_run_view_free(&view);
    assert_int_equal(pd_run_view_read(&view, "no/such/folder"), PD_FAILED);
    pd_run_view_free(&view);
    write_text("history.csv", "epoch,val_auc\n1,0.5\n");
    check_life(PD_LIFE_ENDED);
    write_status("training", (long)getpid(), host);
    check_life(PD_LIFE_RUNNING);
    write_status("training", 99999999, host);
    check_life(PD_LIFE_DEAD);
    write_status("evaluating", 0, host);
    check_life(PD_LIFE_DEAD);
    write_status("training", 99999999, "elsewhere");
    check_life(PD_LIFE_RUNNING);
    const struct timeval old[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    assert_int_equal(utimes("run_view/status.csv", old), 0);
    check_life(PD_LIFE_DEAD);
    write_status("finished", 99999999, host);
    check_life(PD_LIFE_FINISHED);
    write_status("stopped", 99999999, host);
    check_life(PD_LIFE_STOPPED);
    write_status("failed", 99999999, host);
    check_life(PD_LIFE_FAILED);
}

/* A process that holds the lock, with its own status, until it is killed. */
static pid_t hold(pd_run_phase phase)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        pd_run_status status = make_status(phase);
        bool held = pd_lock_take(folder, "wait") == PD_OK &&
                    (phase == PD_RUN_PHASES || pd_run_status_write(folder, &status, true));
        if (!held || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void test_life_with_lock(void **state)
{
    (void)state;
    clear();
    write_status("finished", 99999999, "elsewhere");
    pid_t child = hold(PD_RUN_PHASES); /* the status is of an earlier process */
    check_life(PD_LIFE_STARTING);
    end(child);
    check_life(PD_LIFE_FINISHED);

    child = hold(PD_RUN_TRAINING);
    check_life(PD_LIFE_RUNNING);
    pd_run_view view = read_view();
    assert_true(view.holder.named && view.holder.held && view.holder.process == (long)child);
    pd_run_view_free(&view);
    end(child);
    view = read_view();
    assert_int_equal(view.life, PD_LIFE_DEAD);
    assert_true(view.holder.exists && !view.holder.held && view.holder.process == (long)child);
    pd_run_view_free(&view);

    clear();
    child = hold(PD_RUN_FINISHED); /* it is about to end */
    check_life(PD_LIFE_FINISHED);
    end(child);
    clear();
    child = hold(PD_RUN_PHASES);
    check_life(PD_LIFE_STARTING);
    end(child);
    check_life(PD_LIFE_DEAD);
}

static void test_life_with_lock_of_another_command(void **state)
{
    (void)state;
    char best[64];
    clear();
    pid_t child = hold(PD_RUN_TRAINING);
    end(child);
    check_life(PD_LIFE_DEAD);
    snprintf(best, sizeof best, "%s/best.h5", folder);
    /* As evaluate does to count an evaluation of the test fold in a checkpoint there. */
    assert_int_equal(pd_lock_take_beside(best, "wait"), PD_OK);
    pd_run_view view = read_view();
    assert_true(view.holder.held && !view.holder.writes_run);
    assert_int_equal(view.life, PD_LIFE_DEAD);
    pd_run_view_free(&view);
    pd_lock_release_all();
    check_life(PD_LIFE_DEAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_unwritable_status),
        cmocka_unit_test(test_damaged_status),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_life_without_lock),
        cmocka_unit_test(test_life_with_lock),
        cmocka_unit_test(test_life_with_lock_of_another_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
