"""The sections of the report, in their order: one module and one template each.

To add one: ``NAME.py`` with a function from ``ReportData`` to the values of its template, the template
``NAME.html.j2`` beside it, and a record here.
"""

from segstudy.reporting.sections import (
    certainty,
    cost,
    data,
    external,
    factors,
    failures,
    heat_map,
    images,
    leaderboard,
    learning_curves,
    methods,
    per_image,
    protocol,
    questions,
    reproduce,
    subgroups,
    training_size,
    verdict,
)
from segstudy.reporting.sections.base import ReportData, Section

__all__ = ["SECTIONS", "ReportData", "Section"]

SECTIONS: tuple[Section, ...] = (
    Section(
        name="verdict",
        id="verdict",
        title="",
        description="the winner, by how much it is better, and the limits of this result",
        values=verdict.values,
    ),
    Section(
        name="data",
        id="data",
        title="Data",
        description="images, groups and categories, sizes of the subsets, findings of the check",
        values=data.values,
    ),
    Section(
        name="leaderboard",
        id="leaderboard",
        title="Leaderboard",
        description="every configuration with its scores and costs, sortable; baselines below",
        values=leaderboard.values,
        script="leaderboard.js",
    ),
    Section(
        name="cost",
        id="cost",
        title="What a score costs",
        description="test IoU by parameters, multiply-adds and time, with the Pareto front",
        values=cost.values,
        chart_script="cost.js",
    ),
    Section(
        name="certainty",
        id="certainty",
        title="How sure is that?",
        description="the winner against all others, ranks over seeds",
        values=certainty.values,
    ),
    Section(
        name="heat_map",
        id="losses",
        title="Heat map",
        description="IoU by architecture and loss, or by the two factors that matter most",
        values=heat_map.values,
    ),
    Section(
        name="questions",
        id="questions",
        title="Five questions",
        description="losses, skip connections, parts of an architecture, batch size, what to try next",
        values=questions.values,
    ),
    Section(
        name="factors",
        id="factors",
        title="Factors",
        description="the levels of each factor on equal settings of everything else, and interactions",
        values=factors.values,
    ),
    Section(
        name="training_size",
        id="training-size",
        title="Learning curve over training size",
        description="test IoU by number of training images, and how many more would bring .01",
        values=training_size.values,
    ),
    Section(
        name="learning_curves",
        id="learning",
        title="Learning curves",
        description="loss and IoU by epoch, of selected runs and of all runs",
        values=learning_curves.values,
        chart_script="learning_curves.js",
    ),
    Section(
        name="per_image",
        id="per-image",
        title="Image by image",
        description="the distribution of scores, where configurations disagree, images on which all fail",
        values=per_image.values,
    ),
    Section(
        name="images",
        id="images",
        title="Test images",
        description="the worst, median and best test images with the masks of each model",
        values=images.values,
        script="images.js",
    ),
    Section(
        name="subgroups",
        id="subgroups",
        title="Subgroups",
        description="test IoU by category and by size of the lesion",
        values=subgroups.values,
    ),
    Section(
        name="external",
        id="external",
        title="On other data",
        description="results of `segstudy evaluate` on external data sets",
        values=external.values,
    ),
    Section(
        name="failures",
        id="failures",
        title="Failed runs",
        description="the runs that failed, the reasons, and what to do",
        values=failures.values,
    ),
    Section(
        name="methods",
        id="paper",
        title="For a paper",
        description="a methods paragraph for a paper, with BibTeX",
        values=methods.values,
    ),
    Section(
        name="protocol",
        id="protocol",
        title="How it was done",
        description="the meaning of each number, the protocol, the environment",
        values=protocol.values,
    ),
    Section(
        name="reproduce",
        id="again",
        title="Reproduce",
        description="the study file and the command to repeat the study",
        values=reproduce.values,
    ),
)
