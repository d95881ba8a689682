from .image_table import ImageTable as ImageTable
from .image_table import Splits as Splits
from .known_datasets import DATASETS as DATASETS
from .known_datasets import load_dataset as load_dataset
