"""Five-fold cross-validation of Levi and Hassner's nets on Adience."""
