"""Studies: families that are more than a list of cases beside torch, and bring their own run, table and picture.

A study's entries become the `cases` of a record like any other; its section of results/README.md and its picture are
made from that record alone, so that `--report` makes them anew.
"""

from benchmarks import algorithms, errors, generation, scaling, seeds, tokenizer, training
from benchmarks.cases import Study

STUDIES: dict[str, Study] = {
    "algorithms": algorithms.STUDY,
    "errors": errors.STUDY,
    "generation": generation.STUDY,
    "tokenizer": tokenizer.STUDY,
    "seeds": seeds.STUDY,
    "training": training.STUDY,
    "scaling": scaling.STUDY,
}
