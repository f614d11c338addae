"""Archives for other people: copies in other forms, or without what says who trained and where."""
