"""Ours and torch's side by side: the same inputs and weights, compared before timed, alternating in one process.

python -m benchmarks                      every family, with as many threads as torch takes
python -m benchmarks conv --threads 1     one family
python -m benchmarks --report             results/README.md anew from the stored results

cases      what a case is, and how a layer becomes one
conv       convolutions
linear     dense layers
model      the digit CNN as a whole: a training step, and inference
optim      optimisers
pooling    max pooling
run        comparing, timing, and the record of a run
report     tables from records
"""
