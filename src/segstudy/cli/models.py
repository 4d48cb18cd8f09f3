"""The commands that use a trained model. They stand alone: the light distribution has these only."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Group, Parameter

import segstudy
from segstudy.cli.terminal import guarded, problems, say
from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.deploy.engines import FEW_IMAGES, EngineName

app = App(
    name="segstudy",
    help="Which segmentation architecture, trained with which loss, is best on your images?",
    version=segstudy.__version__,
    suppress_keyboard_interrupt=False,  # it is ours to say what was saved
)

# The commands in the order of the work.
PREPARE, TRAIN, ANSWER, USE, SHELL = (
    Group(name, sort_key=place)
    for place, name in enumerate(
        ("Prepare", "Train", "Find the answer", "Use a trained model", "In the shell"), start=1
    )
)
app["--help"].group = app["--version"].group = SHELL

SHOWN = 5  # files that could not be used
Flag = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True)
class EngineFlags:
    """What computes, and how."""

    engine: Annotated[
        EngineName,
        Parameter(
            help="The library that computes. auto: for an exported file, the engine of its format; for a run "
            "on a CPU, OpenVINO if it is installed; otherwise PyTorch. For OpenVINO, a run is converted "
            f"once. Up to {FEW_IMAGES} images need no conversion: if there is none yet, predict uses PyTorch."
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Parameter(help="The precision. auto: bfloat16 if the processor and the engine support it."),
    ] = "auto"
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Parameter(help="The device for PyTorch.")] = (
        "auto"
    )
    threads: Annotated[int, Parameter(help="The number of images in parallel. 0: one per core.")] = 0
    ensemble: Annotated[
        bool,
        Parameter(
            help="For a study: average over all seeds and folds of its best configuration.", negative=()
        ),
    ] = False
    network: Annotated[
        str | None,
        Parameter(help="The file of your own network, as my.py:Net, if the model was trained with it."),
    ] = None


@app.command(group=USE)
def predict(  # noqa: PLR0913 (an option each)
    model: Path,
    images: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    out: Path,
    probability: Flag = False,
    overlay: Flag = False,
    outline: Flag = False,
    objects: Flag = False,
    threshold: float | None = None,
    tta: Flag = False,
    largest_component: Flag = False,
    fill_holes: Flag = False,
    match: str | None = None,
    how: EngineFlags = EngineFlags(),
) -> int:
    """Predict masks for images, each at its own size, with a table of measurements.

    Example: `segstudy predict my-images-classic photos --out masks --overlay`

    Parameters
    ----------
    model
        A run's folder, a study's folder (its best run) or an exported file.
    images
        Image files, and folders with their subfolders. Masks of a data set are not predicted.
    out
        The folder for the results. The same command continues an interrupted prediction.
    probability
        Also write the probabilities, as grey PNG files.
    overlay
        Also write the images with the mask over them.
    outline
        Also write the images with the outline of the mask.
    objects
        Also measure every connected component, in objects.csv.
    threshold
        The threshold of the probability; the default is 0.5. Classes that exclude each other have none.
    tta
        Average over the eight flips and rotations of each image. This takes eight times as long.
    largest_component
        Keep only the largest connected component of each mask, of each class if there are several.
    fill_holes
        Fill the holes in each mask, of each class if there are several.
    match
        Use only files of a folder whose path matches, such as ``*_Dermoscopic_Image/*.bmp``.
    """
    from segstudy.cli.prediction_bar import PredictionBar  # what `--help` does without
    from segstudy.core.allocator import keep_memory

    keep_memory()  # every image takes and frees some megabytes
    left_out: list[str] = []
    with PredictionBar() as bar:
        rows = segstudy.predict(
            model,
            images,
            out,
            kinds=[
                name
                for name, wanted in (
                    *(("probability", probability), ("overlay", overlay)),
                    *(("outline", outline), ("objects", objects)),
                )
                if wanted
            ],
            threshold=threshold,
            tta=tta,
            largest_component=largest_component,
            fill_holes=fill_holes,
            match=match,
            **asdict(how),
            progress=bar.update,
            part=bar.part,
            notice=left_out.append,
        )
    return _say_predicted(rows, out, bar.num_before, left_out)


def _say_predicted(
    rows: Sequence[Mapping[str, str]], out: Path, num_before: int, left_out: Sequence[str]
) -> int:
    """Print what was predicted and what was not; return the exit code."""
    from segstudy.deploy.predict.table import engine_in, names_in  # what `--help` does without

    failed = [row for row in rows if row["error"]]
    images = {row["image"] for row in rows}  # of several classes each has many rows
    num_masks = len(images) - len(failed)
    num_new = num_masks - num_before
    num_empty = num_masks - len({row["image"] for row in rows if row["area_px"] not in ("", "0")})
    say(
        f"with {', '.join(names_in(out))} ({engine_in(out)}): {counted(num_masks, 'mask')} in "
        f"{out / 'masks'} ({num_new} new, {num_empty} empty), measurements in {out / 'predictions.csv'}"
    )
    for line in left_out:
        say(f"left out: {line}", problems)
    for row in failed[:SHOWN]:
        say(f"not segmented: {row['image']}: {row['error']}", problems)
    if len(failed) > SHOWN:
        say(f"and {len(failed) - SHOWN} more; the table lists all", problems)
    return 1 if failed else 0


@app.command(group=USE)
def serve(  # noqa: PLR0913 (an option each)
    model: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    threshold: float | None = None,
    max_mb: float = 50,
    max_megapixels: float = 50,
    receive_s: float = 30,
    answer_s: float = 60,
    queue: int = 64,
    cors_origin: Annotated[list[str] | None, Parameter(negative=())] = None,
    path_prefix: str = "",
    how: EngineFlags = EngineFlags(),
    open: Flag = False,  # noqa: A002
) -> int:
    """Serve a model over HTTP: a web page to try it, and an interface for programs (openapi.json).

    Example: `segstudy serve my-images-classic --open`

    Parameters
    ----------
    model
        A run's folder, a study's folder (its best run) or an exported file.
    host
        The address of the server. If other machines can reach it, a token is required.
    port
        The port of the server; 0 chooses a free port.
    token
        The token of all requests. The variable SEGSTUDY_TOKEN is safer: lists of processes do not show it.
    threshold
        The threshold of the probability for requests without their own.
    max_mb
        The largest file in MB.
    max_megapixels
        The largest image in megapixels.
    receive_s
        The time limit for sending an image, in seconds.
    answer_s
        The time limit for the answer, in seconds. After it, the answer is 503.
    queue
        The largest number of images in progress. Further images are refused with 503.
    cors_origin
        An origin whose pages may call the server, such as https://lab.example. May be repeated.
    path_prefix
        The path that a proxy puts before each path, such as /skin.
    open
        Open the page in the browser.
    """
    from segstudy.deploy.serving.limits import Limits  # what `--help` does without

    def ready(address: str) -> None:
        say(f"serving at {address} (stop with Ctrl-C)", problems)
        if open:
            import webbrowser

            webbrowser.open(address)

    segstudy.serve(
        model,
        host=host,
        port=port,
        token=token or os.environ.get("SEGSTUDY_TOKEN"),
        threshold=threshold,
        limits=Limits(max_mb * 1e6, max_megapixels * 1e6, receive_s, answer_s, queue),
        cors_origins=cors_origin or (),
        path_prefix=path_prefix,
        ready=ready,
        **asdict(how),
    )
    return 0


@app.command(group=USE)
def card(
    model: Path,
    /,
    *,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
    network: str | None = None,
) -> int:
    """Print the model card of a trained model: data, training, scores, limits.

    Example: `segstudy card my-images-classic`

    Parameters
    ----------
    model
        A run's folder, a study's folder (its best run) or an exported file.
    json_
        Print JSON.
    network
        The file of your own network, as my.py:Net. It is refused if the model was trained with another one.
    """
    say(segstudy.card(model, "json" if json_ else "markdown", network=network).rstrip("\n"))
    return 0


@app.command(name="--install-completion", group=SHELL)
def install_completion(*, shell: Literal["bash", "zsh", "fish"] | None = None) -> int:
    """Make the Tab key complete commands and options.

    Example: `segstudy --install-completion`

    Parameters
    ----------
    shell
        The shell. By default, the shell that is running.
    """
    from cyclopts.completion.detect import ShellDetectionError  # what other commands do without

    try:
        file = app.install_completion(shell=shell)
    except ShellDetectionError:
        raise UserError(
            "the shell was not recognised; name it: --shell bash, --shell zsh or --shell fish"
        ) from None
    say(f"written to {file}; open a new terminal to use it")
    return 0


def main(arguments: list[str] | None = None) -> None:
    """The command line of the light distribution."""
    guarded(app, arguments)
