"""The page of documents, and one document whole."""
