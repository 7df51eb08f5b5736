"""Published caption sets: the list of those that can be fetched, and how they are fetched."""

from workers.captions.datasets.dataset_files import Fetched, fetch
from workers.captions.datasets.download import BadDownload
from workers.captions.datasets.known_datasets import CATALOGUE, Dataset, NoDataset, catalogue

__all__ = ["CATALOGUE", "BadDownload", "Dataset", "Fetched", "NoDataset", "catalogue", "fetch"]
