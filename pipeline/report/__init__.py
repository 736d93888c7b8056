"""`report-vico`: a page to look at a data set, as files or served on this machine, and a review of its questions."""
