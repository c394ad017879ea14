/* How scores become calls: what a classifier needs besides its weights. */
#ifndef PNEUMO_IO_DECISION_H
#define PNEUMO_IO_DECISION_H

typedef struct pd_decision {
    double threshold;             /* lowest probability that is called pneumonia */
    double temperature;           /* logits are divided by it before they become probabilities */
    int views;                    /* over which logits are averaged (pd_view_standard); 1: none */
    double refer_low, refer_high; /* probabilities in [low, high] are in doubt */
    double target_sensitivity;    /* that the threshold was chosen for */
    char rule[256];               /* how the threshold was chosen, and where */
    char fold[16];                /* on which images: "val", "val changed", "calibration" */
} pd_decision;

#endif
