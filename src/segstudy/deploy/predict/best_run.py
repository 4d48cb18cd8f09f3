"""The best run of a study, converted when the report is written, so that no prediction waits for it."""

import logging

from segstudy.core.checksums import check_weights
from segstudy.core.errors import one_line
from segstudy.core.progress import Stage, silent
from segstudy.deploy.predict.load import models_of
from segstudy.deploy.predict.trained import converted, engines_for_runs, has_gpu, is_ready
from segstudy.store.card import read_card
from segstudy.store.folder import StudyFolder
from segstudy.store.own_networks import is_own
from segstudy.store.records import CARD, WEIGHTS

# A conversion takes 9 s (U-Net, width 16, 128 px) to 23 s (width 64, 256 px), 3 to 8 % of so long a training.
LEAST_TRAINED_S = 300.0

log = logging.getLogger(__name__)


def convert_best(folder: StudyFolder, stage: Stage = silent) -> None:
    """Convert a study's best run for the engine that predicts here, if that takes little beside its training.

    Runs of a shorter training are converted when many images are predicted. An error is not raised: the
    prediction that needs the network says what is wrong.

    Args:
        folder: of the study.
        stage: called if there is something to convert.
    """
    try:
        _convert_best(folder, stage)
    except Exception as error:  # of exporters and disks, of whatever class
        log.info("not converted: %s", one_line(error, 200))


def _convert_best(folder: StudyFolder, stage: Stage) -> None:
    engine = engines_for_runs(converting=not has_gpu())[0]
    records = folder.run_records(sorted(folder.finished())) if engine.converted_to else []
    if sum(record.seconds.total for record in records) < LEAST_TRAINED_S:
        return
    models = models_of(folder.path).best()
    (record,) = models.records()
    file = models.folder(record) / CARD
    card = read_card(file)
    if is_own(card, file) or is_ready(engine, models, record, card):
        return
    weights = check_weights(file.with_name(WEIGHTS), file, card.weights_sha256)
    stage("converting the best run for predictions", 0, 0)
    converted(engine, models, record, card, weights)
