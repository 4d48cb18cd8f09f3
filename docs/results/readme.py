"""Fill the README of a results folder with what its study says: verdict, comparisons, questions, table.

python docs/results/readme.py STUDY TEMPLATE "A|B" "C|D" > README.md; TEMPLATE has the words VERDICT, LIMITS,
COMPARE, QUESTIONS and TABLE where each is to stand.
"""

import sys
from pathlib import Path

from segstudy.analysis.compare import compare_configurations
from segstudy.analysis.leaderboard import leaderboard
from segstudy.analysis.results import gather
from segstudy.analysis.verdict import answer
from segstudy.reporting.tables import render
from segstudy.store.folder import StudyFolder


def main() -> None:
    folder, template = StudyFolder(Path(sys.argv[1])), Path(sys.argv[2]).read_text(encoding="utf-8")
    results = gather(folder)
    frame = leaderboard(folder, results=results)
    epochs = folder.epochs([record.key for row in results.rows for record in row.records])
    said = answer(folder.study(), frame, results, epochs)
    pairs = [pair.rsplit("|", maxsplit=1) for pair in sys.argv[3:]]
    compared = [compare_configurations((folder.path, a), (folder.path, b)) for a, b in pairs]
    questions = [
        f"**{number}. {each.question}** " + " ".join(each.sentences)
        for number, each in enumerate(said.questions, 1)
    ]
    limits = [*said.limits, said.optimism, said.resolution]
    parts = {
        "VERDICT": said.verdict,
        "LIMITS": " ".join(text for text in limits if text),
        "COMPARE": "\n".join(f"- {each.sentence}" for each in compared),
        "QUESTIONS": "\n\n".join(questions),
        "TABLE": render(frame, "markdown"),
    }
    for word, text in parts.items():
        template = template.replace(f"{word}\n", f"{text}\n", 1)
    sys.stdout.write(template)


if __name__ == "__main__":
    main()
