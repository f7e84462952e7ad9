"""The commands of `nonredundant`, which call the public functions.

Exit codes: 0 success, 1 some cases failed, 2 wrong use.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nonredundant._version import __version__
from nonredundant.cli.centres import centre_steps, folds_of
from nonredundant.cli.features import read_embeddings, read_lesions
from nonredundant.cli.model_files import load_model
from nonredundant.cli.options import (
    BinWidth,
    Cases,
    Channel,
    Clinical,
    Coverage,
    Embeddings,
    Epochs,
    Event,
    FillSlices,
    Harmonised,
    Hcr,
    Images,
    Jobs,
    Lesions,
    Modality,
    OnMissing,
    Patch,
    Patients,
    RepeatMeasurements,
    Roi,
    Root,
    SavedModel,
    Seed,
    Select,
    Settings,
    Stable,
    StableThreshold,
    Tables,
    Target,
)
from nonredundant.cli.outputs import prepare_file, prepare_folder
from nonredundant.cli.repeats import stable_steps
from nonredundant.cli.selection import selection_steps
from nonredundant.cli.tools import (
    OK,
    SOME_FAILED,
    cases_and_held,
    check_ending,
    check_not_clinical,
    clinical_columns,
    command,
    cores,
    echo,
    echo_stderr,
    has_images,
    one_line,
    parse_images,
    parse_numbers,
    parse_patients,
    read_cases,
    read_labels,
    remove_cache,
    report_failures,
    split_list,
    start_without_cache,
    write_results,
)
from nonredundant.utils.files import write_text
from nonredundant.utils.user_warnings import printable

if TYPE_CHECKING:
    from nonredundant.evaluation.cohort import NoCaseError

app = typer.Typer(
    help="Non-redundant deep radiomics: extract, compare, fit and predict.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    """Print the version and exit."""
    if value:
        echo(__version__)
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Non-redundant deep radiomics: extract, compare, fit and predict."""


@app.command(epilog="Example: nonredundant demo -o report")
@command
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder.")] = Path("report"),
    samples: Annotated[int, typer.Option(min=60, help="Number of phantoms.")] = 180,
    jobs: Jobs = 0,
    seed: Seed = 0,
) -> int:
    """Run the whole pipeline on simulated lesions, within two minutes."""
    from nonredundant.cli.demo import run_demo

    prepare_folder(output)
    return run_demo(output, n_samples=samples, n_jobs=cores(jobs), seed=seed)


@app.command(epilog="Example: nonredundant extract cases.csv --modality PET -o lesions.npz")
@command
def extract(
    cases: Cases,
    output: Annotated[Path, typer.Option("--output", "-o", help="File.", metavar="FILE.npz")],
    root: Root = None,
    modality: Modality = None,
    image: Images = None,
    on_missing: OnMissing = "raise",
    settings: Settings = None,
    bin_width: BinWidth = None,
    patch: Patch = 32,
    lesions: Lesions = "label",
    roi: Roi = None,
    label_channel: Channel = None,
    fill_slices: FillSlices = False,
    csv: Annotated[Path | None, typer.Option(help="Also write the features as CSV.")] = None,
    jobs: Jobs = 0,
) -> int:
    """Measure lesions: hand-crafted radiomics and patches."""
    check_ending(
        output, ".npz", "lesions with their patches; write features as a table with --csv FILE.csv"
    )
    images = parse_images(image)
    table = read_cases(cases, root=root, images=images)
    for file in (output, *([] if csv is None else [csv])):
        prepare_file(file, cases)
    extractor = _extractor(
        modality,
        settings,
        bin_width,
        patch,
        jobs,
        images=images,
        on_missing=on_missing,
        lesions=lesions,
        roi=roi,
        label_channel=label_channel,
        fill_slices=fill_slices,
    )
    found = extractor.fit(table).transform(table)
    found.save(output)
    if csv is not None:
        write_text(csv, found.to_frame().to_csv(index_label="sample"))
    echo(f"{found}\nwritten to {output}")
    return report_failures(found.status)


@app.command(
    epilog="Examples: nonredundant evaluate cases.csv --target relapse --modality PET -o report/, "
    "nonredundant evaluate radiomics.csv --target relapse --embedding FMCIB=fmcib.csv"
)
@command
def evaluate(
    cases: Tables,
    target: Target,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder.")] = Path("report"),
    embedding: Embeddings = None,
    hcr: Hcr = None,
    root: Root = None,
    modality: Modality = None,
    image: Images = None,
    on_missing: OnMissing = "raise",
    settings: Settings = None,
    bin_width: BinWidth = None,
    patch: Patch = 32,
    clinical: Clinical = None,
    lesions: Lesions = "label",
    roi: Roi = None,
    label_channel: Channel = None,
    fill_slices: FillSlices = False,
    patients: Patients = "mean",
    event: Event = None,
    experiment: Annotated[str | None, typer.Option(help="petvsclin or vetil2023.")] = None,
    feature_sets: Annotated[
        str | None, typer.Option(help="Feature sets to compare.", metavar="SET,SET")
    ] = None,
    classifiers: Annotated[
        str | None,
        typer.Option(
            help="LR, SVM, RF by default, or EN, GB, KNN, ensemble; for times Cox, RSF.",
            metavar="NAME,NAME",
        ),
    ] = None,
    select: Select = None,
    scoring: Annotated[str, typer.Option(help="scikit-learn scoring names.")] = "roc_auc",
    folds: Annotated[int, typer.Option(min=2, help="Folds of cross-validation.")] = 5,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Repeats of cross-validation; by default more in small cohorts."),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(help="Groups kept on one side of each split.", metavar="COL"),
    ] = None,
    centre: Annotated[
        str | None,
        typer.Option(help="Centres, within which added information is tested.", metavar="COL"),
    ] = None,
    harmonise: Harmonised = False,
    leave_centre_out: Annotated[
        bool,
        typer.Option("--leave-centre-out", help="Test on each centre, trained on the others."),
    ] = False,
    test: Annotated[Path | None, typer.Option(help="Held-out cases.", metavar="CASES.csv")] = None,
    shared_test: Annotated[
        bool, typer.Option("--shared-test", help="Accept held-out cases of training patients.")
    ] = False,
    baselines: Annotated[
        bool, typer.Option(help="Add volume, principal components, clinical columns, …")
    ] = True,
    controls: Annotated[
        bool, typer.Option(help="Repeat the tests where there is nothing to see.")
    ] = True,
    stable: Stable = False,
    stable_threshold: StableThreshold = 0.75,
    repeat_measurements: RepeatMeasurements = None,
    epochs: Epochs = None,
    jobs: Jobs = 0,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was interrupted.")
    ] = False,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Leave ids and paths out of report and tables.")
    ] = False,
) -> int:
    """Compare hand-crafted, deep and fused features by cross-validation, and write a report."""
    from nonredundant.evaluation.cohort import NoCaseError
    from nonredundant.evaluation.compare import compare_feature_sets
    from nonredundant.folds.steps import clinical_steps

    names, images = split_list(clinical), parse_images(image)
    needed = [target, *names, *([event] if event else [])]
    check_not_clinical(names, target, event)
    of_centres = centre_steps(centre, harmonise=harmonise, leave_out=leave_centre_out)
    selected = selection_steps(select)
    given = read_embeddings(embedding or [], [target, event])
    columns: dict[str, Any] = {"event": event, "groups": groups, "centre": centre}
    table: Any
    if has_images(cases):
        if hcr is not None:
            raise ValueError(f"--hcr chooses columns, and {cases} has images to measure: omit it")
        table, labels, held = cases_and_held(
            cases, test, needed, target, **columns, root=root, images=images
        )
        grouping = None if groups is None else table[groups]
    else:
        options = {**columns, "clinical": names, "hcr": split_list(hcr), "embeddings": given}
        table, labels = read_lesions(cases, target, **options)
        grouping = groups
        held = None if test is None else read_lesions(test, target, **options)
    prepare_folder(output)
    cache = output / "cache"
    if not resume:
        start_without_cache(cache)
    samples = getattr(table, "samples", table)
    encoder = clinical_columns(samples, names)
    steps = [*(clinical_steps(encoder) if samples is not table else []), *of_centres]
    extractor = _extractor(
        modality,
        settings,
        bin_width,
        patch,
        jobs,
        embeddings=given or None,
        images=images,
        on_missing=on_missing,
        clinical=encoder,
        lesions=lesions,
        roi=roi,
        label_channel=label_channel,
        fill_slices=fill_slices,
    )
    steps += stable_steps(
        stable,
        stable_threshold,
        repeat_measurements or [],
        table,
        cases,
        extractor,
        root=root,
        cache=cache,
        seed=seed,
    )
    steps += selected
    try:
        comparison = compare_feature_sets(
            table,
            labels,
            steps=steps,
            extractor=extractor,
            cvae=_cvae(epochs),
            patients=parse_patients(patients),
            feature_sets=split_list(feature_sets) or None,
            classifiers=split_list(classifiers) or None,
            cv=folds_of(folds, leave_out=leave_centre_out),
            n_repeats=repeats,
            groups=grouping,
            centre=centre,
            test=held,
            shared_test=shared_test,
            scoring=split_list(scoring),
            experiment=experiment,
            baselines=baselines,
            controls=controls,
            memory=str(cache),
            n_jobs=cores(jobs),
            random_state=seed,
            verbose=1,
        )
    except NoCaseError as error:
        return _report_no_case(error, cases)
    write_results(comparison.anonymised() if anonymise else comparison, output)
    remove_cache(cache)
    return report_failures(comparison.settings.failed)


@app.command(epilog="Example: nonredundant fit cases.csv --target relapse -o model.skops")
@command
def fit(
    cases: Tables,
    target: Target,
    output: Annotated[Path, typer.Option("--output", "-o", help="File.", metavar="FILE.skops")],
    feature_set: Annotated[
        str | None,
        typer.Option(help="Default: HCR+DLR-MI; of an embedding NAME, HCR+NAME-MI.", metavar="SET"),
    ] = None,
    embedding: Embeddings = None,
    hcr: Hcr = None,
    root: Root = None,
    event: Event = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            help="LR, SVM, RF, EN, GB, KNN or ensemble; for times Cox or RSF; default LR or Cox."
        ),
    ] = None,
    modality: Modality = None,
    image: Images = None,
    on_missing: OnMissing = "raise",
    settings: Settings = None,
    bin_width: BinWidth = None,
    patch: Patch = 32,
    clinical: Clinical = None,
    lesions: Lesions = "label",
    roi: Roi = None,
    label_channel: Channel = None,
    fill_slices: FillSlices = False,
    patients: Patients = "mean",
    select: Select = None,
    centre: Annotated[
        str | None, typer.Option(help="Centres, for --harmonise.", metavar="COL")
    ] = None,
    harmonise: Harmonised = False,
    stable: Stable = False,
    stable_threshold: StableThreshold = 0.75,
    repeat_measurements: RepeatMeasurements = None,
    folds: Annotated[
        int,
        typer.Option(
            min=0,
            help="Folds for the performance and the conformal sets; 0: neither, and as many times "
            "faster.",
        ),
    ] = 5,
    epochs: Epochs = None,
    jobs: Jobs = 0,
    seed: Seed = 0,
) -> int:
    """Fit one feature set and classifier on all cases; save them, and a card that tells of them."""
    from nonredundant.cli.saved_models import check_card, fit_model, save_model
    from nonredundant.evaluation.cohort import NoCaseError

    check_ending(output, ".skops", "a saved model")
    names, images = split_list(clinical), parse_images(image)
    check_not_clinical(names, target, event)
    of_centres = centre_steps(centre, harmonise=harmonise, leave_out=False)
    if centre is not None and not harmonise:
        raise ValueError("--centre names what --harmonise makes alike: add --harmonise, or omit it")
    selected = selection_steps(select)
    given = read_embeddings(embedding or [], [target, event])
    table: Any
    if has_images(cases):
        if hcr is not None:
            raise ValueError(f"--hcr chooses columns, and {cases} has images to measure: omit it")
        needed = [target, *names, *([event] if event else [])]
        table = read_cases(cases, *needed, centre=centre, root=root, images=images)
        labels = read_labels(table, target, cases, event)
    else:
        options: dict[str, Any] = {"clinical": names, "hcr": split_list(hcr), "embeddings": given}
        table, labels = read_lesions(cases, target, event=event, centre=centre, **options)
    for file in (output, check_card(output)):
        prepare_file(file, cases)
    extractor = _extractor(
        modality,
        settings,
        bin_width,
        patch,
        jobs,
        embeddings=given or None,
        images=images,
        on_missing=on_missing,
        lesions=lesions,
        roi=roi,
        label_channel=label_channel,
        fill_slices=fill_slices,
    )
    of_repeats = stable_steps(
        stable,
        stable_threshold,
        repeat_measurements or [],
        table,
        cases,
        extractor,
        root=root,
        seed=seed,
    )
    try:
        model = fit_model(
            table,
            labels,
            extractor,
            clinical=clinical_columns(getattr(table, "samples", table), names),
            feature_set=feature_set,
            embeddings=list(given),
            steps=[*of_centres, *of_repeats, *selected],
            classifier=classifier,
            patients=parse_patients(patients),
            cvae=_cvae(epochs),
            cv=folds or None,
            random_state=seed,
        )
    except NoCaseError as error:
        return _report_no_case(error, cases)
    save_model(model, output, outcome=target)
    return SOME_FAILED if model.facts_["n_failed"] else OK


@app.command(epilog="Example: nonredundant predict model.skops new.csv -o predictions.csv")
@command
def predict(
    model: SavedModel,
    cases: Tables,
    output: Annotated[Path, typer.Option("--output", "-o", help="File.", metavar="FILE.csv")],
    embedding: Embeddings = None,
    coverage: Coverage = 0.9,
    root: Root = None,
    jobs: Jobs = 0,
) -> int:
    """Apply a saved model to new cases; warn of those outside of the training cohort."""
    from nonredundant.cli.saved_models import predictions, read_new_cases
    from nonredundant.evaluation.validation import missing_columns
    from nonredundant.results.validation import describe_missing

    check_ending(output, ".csv", "predictions")
    fitted = load_model(model)
    prepare_file(output, cases, model)
    table, lesions, _ = read_new_cases(
        fitted, model, cases, root=root, jobs=jobs, embedding=embedding or []
    )
    found = predictions(fitted, lesions, coverage)
    found["status"] = lesions.status
    found["outside"] = fitted.outside(table, lesions=lesions)
    write_text(output, found.to_csv(index_label="sample"))
    for label, reason in found["outside"][found["outside"] != ""].items():
        name = printable(label)
        echo_stderr(f"Warning: {name} lies outside of the training cohort: {one_line(reason)}")
    n_predicted = int((lesions.status == "ok").sum())
    missing = describe_missing(missing_columns(fitted, lesions), n_predicted)
    if missing:
        echo_stderr(f"Warning: {missing}")
    echo(f"{n_predicted} of {len(found)} cases predicted\nwritten to {output}")
    return report_failures(lesions.status)


@app.command(epilog="Example: nonredundant validate model.skops other.csv --target relapse")
@command
def validate(
    model: SavedModel,
    cases: Tables,
    target: Target,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder.")] = Path("validation"),
    event: Event = None,
    embedding: Embeddings = None,
    thresholds: Annotated[
        str,
        typer.Option(help="Probabilities at which the net benefit is told.", metavar="P,P"),
    ] = "0.1,0.2,0.3,0.5",
    coverage: Coverage = 0.9,
    root: Root = None,
    jobs: Jobs = 0,
) -> int:
    """Score a saved model on cases of elsewhere, without fitting it again, and write a report."""
    from nonredundant.cli.saved_models import check_event, groups_of, read_new_cases
    from nonredundant.evaluation.cohort import NoCaseError
    from nonredundant.evaluation.validation import validate_model

    fitted = load_model(model)
    check_event(fitted, model, event)
    at = parse_numbers(thresholds, "--thresholds")
    table, lesions, labels = read_new_cases(
        fitted,
        model,
        cases,
        root=root,
        jobs=jobs,
        embedding=embedding or [],
        target=target,
        event=event,
    )
    prepare_folder(output)
    try:
        found = validate_model(
            fitted,
            table,
            labels,
            groups=groups_of(table),
            lesions=lesions,
            thresholds=at,
            coverage=coverage,
        )
    except NoCaseError as error:
        return _report_no_case(error, cases)
    found.to_csv(output / "tables")
    echo(found.answer())
    echo(f"Report: {found.to_html(output / 'index.html')}\nTables: {output / 'tables'}")
    return report_failures(lesions.status)


def _report_no_case(error: NoCaseError, cases: Path) -> int:
    """Print why no case of a table could be read, and return the exit code."""
    code = report_failures(error.status)
    echo_stderr(f"Error: none of the {len(error.status)} cases of {cases} could be read")
    return code


def _extractor(
    modality: str | None,
    settings: Path | None,
    bin_width: float | None,
    patch: int,
    jobs: int,
    **more: Any,
) -> Any:
    """Make the extractor from the options; it continues when a case fails."""
    from nonredundant.extraction.extractor import RadiomicsExtractor

    return RadiomicsExtractor(
        modality=modality,
        settings=None if settings is None else str(settings),
        bin_width=bin_width,
        patch_shape=(patch, patch, patch),
        on_error="nan",
        n_jobs=cores(jobs),
        verbose=1,
        **more,
    )


def _cvae(epochs: int | None) -> Any:
    """Make the default network, with another number of epochs if given."""
    from nonredundant.models.cvae import NonRedundantCVAE

    return NonRedundantCVAE() if epochs is None else NonRedundantCVAE(max_epochs=epochs)


def main() -> None:
    """Run the command line; the entry point of `nonredundant`."""
    app()
