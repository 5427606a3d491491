"""Predictions in the worker processes of Dask, Ray, Spark and joblib."""

from __future__ import annotations

from cnn.predictor._predictor import Predictor

__all__ = ["Predictor"]
