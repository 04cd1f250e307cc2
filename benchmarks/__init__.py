"""Ours and torch's side by side: the same inputs and weights, compared before timed, alternating in one process.

python -m benchmarks                      every family, with as many threads as torch takes
python -m benchmarks conv --threads 1     one family
python -m benchmarks --device cuda --dtype bfloat16 --quick     on a graphics card, in a few minutes
python -m benchmarks norm --mode compiled                       both sides through torch.compile
python -m benchmarks --all                                      float32 and bfloat16, each eager and compiled
python -m benchmarks conv --compare benchmarks/results          what is slower or faster than it was
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
generation   GPT-2 writes and is trained, beside transformers' own and the memory's rate
training     GPT-2's step of training, and its share of the machine's rate (MFU)
learner      what takes such a step
gpt2_twins   GPT-2 out of torch.nn's layers, and transformers', with our weights in them
tokenizer    learning byte pairs, encoding and decoding
scaling      time and memory as the work grows
growth       what grows
scaling_chart  its picture
seeds        Keras's and transformers' own programs beside ours
programs     what these are
keras_twins  those of Keras, with our weights in them
options      the flags, and what they come to
run          a case from its first numbers to its entry
checking     whether both sides compute the same
clocks       timing a side: by torch.utils.benchmark, by a graphics card's own clock
memory       how much memory a call needs at most
card         what CUDA tells of a graphics card
ceilings     how fast the machine multiplies and copies
records      the record of a run, written and read
comparison   a run against an older one
roofline     what was reached of what the machine can do, as a column and as a picture
report       results/README.md from records
summary      a machine in one table and one picture
rows         one case as a line of a table
tables       what every table is made of
"""
