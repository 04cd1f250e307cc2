"""Ours and torch's side by side: the same inputs and weights, compared before timed, alternating in one process.

python -m benchmarks                      every family, with as many threads as torch takes
python -m benchmarks conv --threads 1     one family
python -m benchmarks --report             results/README.md anew from the stored results

cases        what a case is, and how a layer becomes one
activations  element-wise activations and softmax
attention    attention at several lengths, and one token beside a cache
conv         convolutions
linear       dense layers
lookup       embeddings
losses       losses
model        the digit CNN as a whole: a training step, and inference
norm         batch, layer, group and RMS norm
optim        optimisers
pooling      largest and mean, over windows and adaptive
recurrent    recurrent layers, even batches and ragged ones
transformer  attention as a layer, and the Transformer's encoder layer
studies      families that bring their own run, table and picture:
algorithms   the algorithms of one operation against each other
contests     what they compete in
errors       how far every layer is from float64, in each precision
tokenizer    learning byte pairs, encoding and decoding
run          comparing, timing, and the record of a run
report       results/README.md from records
tables       what every table is made of
"""
