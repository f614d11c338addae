"""Archives for other people: as a bag, as a zip file, as a run of MLflow; their data as Croissant describes data; and
public copies, without what says who trained and where.

Each form is one module with one public function, which takes a `Run` that is sealed and whole, and changes nothing of
it. Bags and zip files are verified as they are, by `archiver.verify`.
"""
