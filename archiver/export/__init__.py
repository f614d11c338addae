"""What other tools take: an archive as a bag, as a zip file, as a run of MLflow; its data as Croissant describes data.

Each form is one module with one public function, which takes a `Run` that is sealed and whole, and changes nothing of
it. Bags and zip files are verified as they are, by `archiver.verify`.
"""
