"""Models: one short file each, to be read from top to bottom.

convnet          ConvNet, a convolutional network for 28x28 digits
resnet           ResNet, a residual network in its small form
lstm_classifier  LSTMClassifier, three LSTM layers and one answer; TextClassifier, the same for text
char_lstm        CharLSTM, a language model of characters
bigram           BigramLogistic, the baseline for texts
gpt2             GPT2Model, GPT2LMHeadModel; gpt2_config: GPT2Config and the published sizes; gpt2_token: its short road
llama            LlamaModel, LlamaForCausalLM, MistralForCausalLM; llama_config: LlamaConfig, MistralConfig
transformer      Seq2SeqTransformer, the encoder and decoder of "Attention is all you need"
causal, outputs  what language models share: positions, masks, the loss; what they give back
"""

from minimodels.models.bigram import BigramLogistic
from minimodels.models.char_lstm import CharLSTM
from minimodels.models.convnet import ConvNet
from minimodels.models.gpt2 import GPT2LMHeadModel, GPT2Model
from minimodels.models.gpt2_config import GPT2Config
from minimodels.models.llama import LlamaForCausalLM, LlamaModel, MistralForCausalLM
from minimodels.models.llama_config import LlamaConfig, MistralConfig
from minimodels.models.lstm_classifier import LSTMClassifier, TextClassifier
from minimodels.models.resnet import ResNet
from minimodels.models.transformer import Seq2SeqTransformer

__all__ = [
    "BigramLogistic",
    "CharLSTM",
    "ConvNet",
    "GPT2Config",
    "GPT2LMHeadModel",
    "GPT2Model",
    "LSTMClassifier",
    "LlamaConfig",
    "LlamaForCausalLM",
    "LlamaModel",
    "MistralConfig",
    "MistralForCausalLM",
    "ResNet",
    "Seq2SeqTransformer",
    "TextClassifier",
]
