"""Recipes: one short file a job; settings, data, model and metrics go into the one training loop.

cnn.py        ConvNet on handwritten digits, MNIST or Fashion-MNIST
resnet.py     ResNet on the same
pictures.py   what every network that tells pictures apart has in common
lstm.py       LSTM on texts and numbers; lstm_settings.py, lstm_data.py and lstm_model.py are its parts
char_lstm.py  LSTM that writes, character by character
gpt.py        GPT on a text; gpt_settings.py, gpt_presets.py, gpt_data.py and gpt_model.py are its parts
writing.py    writing with a GPT, of a run or published

fitting.py    how all of them are trained: the loop with its run folder
plan.py       what a recipe puts into it
training_settings.py  the settings that all of them have
checks.py     whether they suit data, model and machine
summary.py    what a run came to
measuring.py  a trained model, measured again

recipe.py     what a recipe is, and the list of them
settings.py   a dataclass of settings: types, limits, help
commands.py   what the command line does
flags.py      the flags that are made from the settings
wording.py    words for messages
runs.py       the run folder, and its config.json, which repeats the run
"""

from minimodels.recipes.recipe import RECIPES, Recipe, find_recipe

__all__ = ["RECIPES", "Recipe", "find_recipe"]
