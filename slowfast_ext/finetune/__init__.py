"""From a folder of one's own videos to a trained classifier: what `slowfast-ext finetune` is made of.

clips.py reads the videos, split.py parts them, start.py takes weights, recipe.py chooses the settings, cost.py measures
what they cost, session.py puts them together in an output folder, result.py tells what came out.
"""
