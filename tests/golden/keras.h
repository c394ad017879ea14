/* Written by make_keras.py: what Keras computes with the models in keras/, and with those of others. */
static const double keras_0[] = {0.279547125, 0.347812861, 0.372640014, 0.286773801, 0.35770461, 0.355521619};
static const double keras_1[] = {0.279547125, 0.347812861, 0.372640014, 0.286773801, 0.35770461, 0.355521619};
static const double keras_2[] = {0.279547125, 0.347812861, 0.372640014, 0.286773801, 0.35770461, 0.355521619};
static const double keras_3[] = {0.279547125, 0.347812861, 0.372640014, 0.286773801, 0.35770461, 0.355521619};
static const double keras_4[] = {0.729961276, 0.270038694, 0.91594398, 0.0840560272};
static const double keras_5[] = {0.729961276, 0.270038694, 0.91594398, 0.0840560272};
static const double keras_6[] = {0.989772499, 0.999948978};
static const double keras_7[] = {0.999987483, 0.999993086};
static const double keras_8[] = {0.16007635, 1.71990422e-07, 0.0424742699, 0.029129399, 0.100396231, 0.00839476474, 0.659528792, 0.0484546162, 1.49412813e-06, 0.0884354413, 0.0776375756, 0.13914074, 0.603345752, 0.0429843441};
static const double keras_9[] = {0.99967587, 0.891087651};
static const double keras_10[] = {0.98194778, 0.3555094};
static const double keras_11[] = {1.06778142e-21, 3.93882289e-19};
static const double keras_12[] = {0.202379048, 0.887360394};
static const double keras_13[] = {0.784470975, 0.0626222268, 0.15290679, 0.788905561, 0.0607388094, 0.150355622};
static const keras_case keras_cases[] = {
    {"every_layer.h5", NULL, 1, 3, keras_0, false},
    {"every_layer.keras", NULL, 1, 3, keras_1, false},
    {"every_layer.weights.h5", "every_layer.json", 1, 3, keras_2, false},
    {"every_layer.h5", "every_layer_2.json", 1, 3, keras_3, false},
    {"sequential.h5", NULL, 1, 2, keras_4, false},
    {"sequential.keras", NULL, 1, 2, keras_5, false},
    {"batchnorm-keras2.12.h5", NULL, 255, 1, keras_6, true},
    {"logistic-keras3-legacy.h5", NULL, 255, 1, keras_7, true},
    {"mini-xception-keras2.0.hdf5", NULL, 255, 7, keras_8, true},
    {"sequential-inner-scope.h5", NULL, 255, 1, keras_9, true},
    {"sequential-keras2.4.h5", NULL, 255, 1, keras_10, true},
    {"sequential-keras3.keras", NULL, 1, 1, keras_11, true},
    {"separable-weights-only.hdf5", "separable_chest.json", 255, 1, keras_12, true},
    {"tuner-trial.weights.h5", "tuner_trial.json", 1, 3, keras_13, true},
};
enum { KERAS_IMAGES = 2 };
