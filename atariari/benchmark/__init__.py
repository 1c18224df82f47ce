"""The benchmark under the names of the 2019 code: wrapper, episodes, probe, annotations."""
