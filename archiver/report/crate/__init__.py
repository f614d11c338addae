"""The archive as an RO-Crate: `ro-crate-metadata.json`, JSON-LD that other people's tools read.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) describes the folder and its files; Process Run Crate 0.5
(https://w3id.org/ro/wfrun/process/0.5) the training and the evaluation as actions with what went in and what came out.
`outline` says all that the records tell; `Outline.filled` adds the files once their digests are known.
"""
