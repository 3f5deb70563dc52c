"""The page in the browser: what is so, why, and what to do; rendered from the facts that the terminal shows too."""
