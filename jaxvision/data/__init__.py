"""Data sets on the host: prepared once, then loaded as uint8 batches. Never imports jax."""

from jaxvision.data.dataset import Batch, Dataset
from jaxvision.data.fake import fake
from jaxvision.data.labels import few_with_random_labels, with_random_labels
from jaxvision.data.loading import load
from jaxvision.data.memory import InMemory
from jaxvision.data.order import FoldOrder, PopulationOrder, TrainingOrder
from jaxvision.data.preparation import default_data_dir, prepare
from jaxvision.data.splits import DatasetInfo, Splits
from jaxvision.data.statistics import channel_statistics, mean_image
from jaxvision.data.stream import Streaming
from jaxvision.data.toy2d import FEATURES, TOY_SETS, ToySet, toy_splits

__all__ = [
    "FEATURES",
    "TOY_SETS",
    "Batch",
    "Dataset",
    "DatasetInfo",
    "FoldOrder",
    "InMemory",
    "PopulationOrder",
    "Splits",
    "Streaming",
    "ToySet",
    "TrainingOrder",
    "channel_statistics",
    "default_data_dir",
    "fake",
    "few_with_random_labels",
    "load",
    "mean_image",
    "prepare",
    "toy_splits",
    "with_random_labels",
]
