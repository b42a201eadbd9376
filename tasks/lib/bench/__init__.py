"""The benchmark: real measurements beside the raw tools' own, in throwaway checkouts and environments."""
