"""Runs in stores of other machines: S3, Google Cloud, Azure, the Hugging Face Hub, whatever fsspec opens.

- `urls`: what is a URL, and the file system behind it.
- `patience`: trying again, with pauses.
- `listing`: what lies there, and which of its names are refused.
- `ranges`: reading there piece by piece, as a file.
- `fingerprints`, `sent`: whether what lies there is what lies here.
- `uploading`, `downloading`: `archiver push` and `archiver pull`.
- `fetching`, `checking`: looking at a run there, and verifying it, without a copy of its weights.
- `sender`: the process that uploads beside a training.

An archive there is sealed for any reader only once all of it is there: the seal is sent last, and removed first.
"""
