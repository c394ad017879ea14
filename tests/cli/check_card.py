"""check_card.py REPORT CARD: every figure in the model card is that of report.json, and each is there.

A reading of the card of its own: rows of tables by their section and titles, sentences by patterns. What
is left must not hold a digit."""
import json
import re
import sys

report = json.load(open(sys.argv[1]))
card = open(sys.argv[2], encoding="utf-8").read()
checked = 0


def find(key):
    value = report
    for part in key.split("."):
        if value is None:
            return None
        value = value[int(part)] if isinstance(value, list) else value.get(part)
    return value


def plain(text):
    """Markdown without its escapes."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def counted(count, noun):
    return f"{count} {noun}{'' if count == 1 else 's'}"


def number(value, form):
    if value is None:
        return "unknown"
    if form == "%":
        return f"{100 * value:.1f}"
    return f"{value:.{form}f}" if isinstance(form, int) else str(value)


def figure(key, form):
    value = find(key)
    if value is None or value["value"] is None:
        return "unknown"
    sign = " %" if form == "%" else ""
    if value["low"] is None or value["high"] is None:
        return f"{number(value['value'], form)}{sign} (interval unknown)"
    return f"{number(value['value'], form)}{sign} ({number(value['low'], form)} to {number(value['high'], form)})"


def expect(shown, expected, what):
    global checked
    assert shown == expected, f"{what}: the card has '{shown}', report.json '{expected}'"
    checked += 1


known = report["unknown_patients"] == 0
folds = {"test": "test", "validation": "val"}
settings_at = card.index("\n## Settings\n\n") + len("\n## Settings\n\n")
settings = "".join(line[4:] + "\n" for line in card[settings_at:].splitlines())
expect(settings, report["settings"], "settings")
rest, section, seen = [], "", []
lines = card[:settings_at].splitlines()


FIGURES = {"sensitivity (recall)": "sensitivity", "specificity": "specificity", "accuracy": "accuracy",
           "balanced accuracy": "balanced_accuracy", "precision": "precision", "F1": "f1", "AUC": "auc"}


def rows_of_figures(fold, cells):
    columns = ["chosen", "half"] + ["patients"] * known
    assert len(cells) == 1 + len(columns), cells
    if cells[0] == "figure":
        expect(cells[1], f"threshold {find(f'folds.{fold}.chosen.threshold'):.4f}", cells)
        expect(cells[2], "threshold 0.5", cells)
        return
    seen.append((section, cells[0]))
    for column, cell in zip(columns, cells[1:]):
        expect(cell, figure(f"folds.{fold}.{column}.{FIGURES[cells[0]]}", 4 if cells[0] == "AUC" else "%"), cells)


def rows_of_calibration(fold, cells):
    if cells[0] == "probability":
        return
    bins = [b for b in find(f"folds.{fold}.calibration.bins") if b["count"] > 0]
    index = seen.count((section, "bin"))
    seen.append((section, "bin"))
    at = bins[index]
    place = find(f"folds.{fold}.calibration.bins").index(at)
    expect(cells, [f"{at['low']:.2f} to {at['high']:.2f}", str(at["count"]), f"{at['mean_probability']:.4f}",
                   figure(f"folds.{fold}.calibration.bins.{place}.positive", "%")], "bin")


def rows_of_stress(fold, cells):
    if cells[0] == "change":
        return
    index = [row["name"] for row in find(f"folds.{fold}.stress.rows")].index(cells[0])
    at = f"folds.{fold}.stress.rows.{index}"
    seen.append((section, index))
    expect(cells[1:], [find(at + ".phrase"), figure(at + ".auc", 4), figure(at + ".sensitivity", "%"),
                       figure(at + ".specificity", "%")], cells[0])


def rows_of_subgroups(cells):
    causes = {"normal": "NONE", "bacterial pneumonia": "BACTERIA", "viral pneumonia": "VIRUS",
              "pneumonia of unknown cause": "UNKNOWN"}
    if cells[0] == "fold":
        return
    fold = folds[cells[0]]
    if cells[1] in causes:
        at = f"folds.{fold}.by_cause.{causes[cells[1]]}"
        expect(cells[2], figure(at, "%"), cells)
        seen.append(at)
        return
    match = re.fullmatch(r"(specificity|sensitivity) of (normal|pneumonia) images, (\w+) third by (.*) "
                         r"\((.*) to (.*)\), (\d+) images?", cells[1])
    measure = "aspect" if match[4] == "width over height" else "area"
    at = f"folds.{fold}.shape.{measure}.{match[2]}.{match[3]}"
    assert (match[1] == "specificity") == (match[2] == "normal"), cells
    digits = 2 if measure == "aspect" else 0
    expect([match[5], match[6], match[7], cells[2]],
           [number(find(at + ".low"), digits), number(find(at + ".high"), digits), str(find(at + ".count")),
            figure(at + ".right", "%")], cells)
    seen.append(at)


def rows_of_folds(cells):
    names = {"train": "TRAIN", "validation": "VAL", "test": "TEST"}
    if cells[0] == "fold":
        return
    keys = ["NORMAL", "PNEUMONIA", "BACTERIA", "VIRUS", "UNKNOWN"] + ["patients"] * known
    expect(cells[1:], [str(find(f"data.folds.{names[cells[0]]}.{key}")) for key in keys], cells)
    seen.append(names[cells[0]])


def read_row(line):
    cells = [plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    if set("".join(cells)) <= set("-: "):
        return
    fold = next((folds[name] for name in folds if f"{name} fold" in section), None)
    if section.startswith("Data"):
        rows_of_folds(cells)
    elif section.startswith("Subgroups"):
        rows_of_subgroups(cells)
    else:
        {"Figures": rows_of_figures, "Calibration": rows_of_calibration,
         "Stress": rows_of_stress}[section.split()[0].rstrip(",")](fold, cells)


for line in lines:
    if line.startswith("#"):
        section = line.lstrip("# ")
        rest.append(line)
    elif line.startswith("|"):
        read_row(line)
    else:
        rest.append(f"[{section}] {line}" if line else "")
text = plain("\n".join(rest))

# Sentences: each pattern is there as often as said, and its figures are those of the report.
D = report["data"]


def duration(seconds):
    if seconds is None:
        return "unknown"
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole // 60 % 60:02d} min"


def word(value):
    return "unknown" if value is None else str(value)


average = report["members"] > 1
trained = D["trained_digest"] or None
own = trained == D["digest"]
keys = dict(line.split(" = ", 1) for line in report["settings"].splitlines() if " = " in line)
parts = average and own and int(keys["cross"]) > 0
if average:
    seed = "Seeds: those of the members"
elif trained is None:
    seed = "Seed: unknown"
else:
    seed = f"Seed {report['seed']}"
expect(report["seed"] is None and report["lanes"] is None, average or trained is None, "seed and lanes")
expect(report["test_looks"] is None, trained is None and not average, "evaluations of the test fold")
sentences = [
    f"network {report['model']} with {report['parameters']} parameters, evaluated with pneumo-dist {report['version']}.",
    "intervals are 95 % intervals",
    f"Model card: {report['job']}",
    f"Job {report['job']}: network {report['model']}, {report['parameters']} parameters.",
    f"Data set: {D['path']}, digest {D['digest']}, packed by pneumo-dist {D['version']} with seed {D['seed']}: "
    f"{D['images']} images of {D['width']} x {D['height']} grey pixels; {D['duplicates']} exact duplicates",
    f"Folds: {D['fold_policy']}.",
    f"temperature {report['decision']['temperature']:.4f}, views averaged per image {report['decision']['views']}.",
    f"Threshold {report['decision']['threshold']:.4f}: {report['decision']['rule']}.",
    f"sensitivity {number(report['targets']['sensitivity'], '%')} %, specificity "
    f"{number(report['targets']['specificity'], '%')} %.",
    f"probabilities from {report['decision']['refer_low']:.4f} to {report['decision']['refer_high']:.4f} are referred",
    f"with these weights: {word(report['test_looks'])}. Each",
    f"Data: digest {D['digest']}. Code of the evaluation: pneumo-dist {report['version']}. {seed}.",
    "BMJ 2024;385:e078378, doi:10.1136/bmj-2023-078378.", "2024;6(4):e240300, doi:10.1148/ryai.240300.",
    "CLAIM 2024:", "what CLAIM 2024 adds",
] + [f"[Limitations (25, 26)] - {line}\n" for line in report["warnings"]]
if average or trained is None:
    sentences.append(f"[Model and training (12, 13, 15, 21, 22)] - {seed}.\n")
elif keys["reduction"] == "mpi":
    sentences.append(f"{seed}; {report['lanes']} lanes. MPI summed the gradients")
else:
    sentences.append(f"{seed}; {report['lanes']} lanes. The same seed, settings and data give the same weights")
if average:
    sentences.append(f"Average of {report['members']} models.")
elif report["weights_epoch"] > report["epochs"]:
    sentences.append(f"{counted(report['epochs'], 'epoch')}; the weights are those of the middle of epoch "
                     f"{report['weights_epoch']}.")
elif report["epochs"] > 0:
    best = report["weights_epoch"] == report["best_epoch"]
    sentences.append(f"{counted(report['epochs'], 'epoch')}; the weights are those of epoch {report['weights_epoch']}"
                     f"{', the best on the validation fold' if best else ''}.")
if report["seconds"] is not None:
    sentences.append(f"Hardware: {word(report['processor'])}; ranks {report['ranks']}, threads per rank "
                     f"{report['threads']}; training took {duration(report['seconds'])}, at "
                     f"{number(report['images_per_second'], 1)} images per second.")
if parts:
    sentences.append("- Training: each member on the images outside its part and the test fold.\n")
elif own:
    sentences.append("- Training: the train fold of this data set.\n")
elif trained is not None:
    sentences.append(f"- Training: another data set, digest {trained}; its images may be among those below.\n")
else:
    sentences.append("- Training: unknown; this data set may contain its images.\n")
if not known:
    sentences.append(f"Patients: unknown for {counted(report['unknown_patients'], 'image')}, so")
elif report["leaks"] > 0:
    sentences.append(f"Patients: known ({D['grouping']}); {counted(report['leaks'], 'patient')} with images in more than one fold.")
else:
    sentences.append(f"Patients: known ({D['grouping']}); none is in two folds.")
for title, fold in folds.items():
    of = report["folds"].get(fold)
    if of is None:
        assert f"Figures of the {title} fold" not in text
        continue
    at, c = f"folds.{fold}", of["chosen"]["confusion"]
    sentences += [
        f"[Figures of the {title} fold] At the threshold: {c['true_positive']} pneumonias found, "
        f"{c['false_negative']} missed; {c['true_negative']} normal images recognised, {c['false_positive']} taken for "
        f"pneumonia. In the band of doubt: {figure(at + '.referred', '%')}; accuracy of the others: "
        f"{figure(at + '.decided', '%')}.",
        f"[Calibration, {title} fold] Brier score {of['calibration']['brier']:.4f}, expected calibration error "
        f"{of['calibration']['ece']:.4f}; before division by the temperature {of['uncalibrated']['brier']:.4f} and "
        f"{of['uncalibrated']['ece']:.4f}."]
    if of["left_out"] > 0:
        sentences.append(f"with images that calibration used: {of['left_out']}.")
    if of["outside"] is not None:
        sentences.append(f"Unlike the training images: {counted(of['outside']['count'], 'image')} of the {title} fold.")
    missing = [name for name in FIGURES if (f"Figures of the {title} fold", name) not in seen]
    assert not missing, f"figures of the {title} fold: {missing}"
    assert [s for s in seen if s == (f"Calibration, {title} fold", "bin")].__len__() == sum(
        b["count"] > 0 for b in of["calibration"]["bins"]), f"bins of {title}"
    if "stress" in of:
        name = f"Stress test, {title} fold"
        assert {i for s, *i in filter(lambda s: isinstance(s, tuple) and s[0] == name, seen)
                for i in i} == set(range(len(of["stress"]["rows"]))), f"rows of {name}"
        sentences.append(f"[{name}] {of['stress']['images']} of {of['stress']['fold_images']} images under each "
                         f"change, at the threshold. AUC of all changed images together: "
                         f"{figure(at + '.stress.pooled_auc', 4)}; worst change: {of['stress']['worst']}.")
        sentences += [f"[{name}] - {line}\n" for line in of["stress"]["verdict"]]
        if of["stress"]["caveat"] is not None:
            sentences.append(f"[{name}] {of['stress']['caveat']}\n")
    for cause, value in of["by_cause"].items():
        assert (f"{at}.by_cause.{cause}" in seen) == (value["value"] is not None), cause
    for measure, classes in of.get("shape", {}).items():
        for label in ("normal", "pneumonia"):
            for third in ("lowest", "middle", "highest"):
                assert (f"{at}.shape.{measure}.{label}.{third}" in seen) == (classes[label][third]["count"] > 0)
shown = {"VAL", "TEST"} if parts else {"TRAIN", "VAL", "TEST"}
assert {"TRAIN", "VAL", "TEST"} & set(seen) == shown, "the table of folds is not as expected"
for sentence in sentences:
    assert sentence in text + "\n", f"not in the card: {sentence}"
    text = (text + "\n").replace(sentence, "\n")
    checked += 1
# Items of TRIPOD+AI in headings.
text = re.sub(r"\((\d+(, | to )?)+\)", "", text)
left = [line for line in text.splitlines() if re.search(r"\d", line)]
assert not left, f"figures that report.json does not have: {left}"
if not known:
    spoken = [line for line in card[:settings_at].splitlines() if "patient" in line.lower() and "unknown" not in line]
    assert not spoken, f"it speaks of patients: {spoken}"
print(f"card: {checked} figures and texts as in report.json")
