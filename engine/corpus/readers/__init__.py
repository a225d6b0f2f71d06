"""The file formats: text in, passages out."""
