"""The encoders under the names of the 2019 code."""
