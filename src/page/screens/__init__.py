"""The screens, one file each: its routes, and what it reads for its template. The folder is the registry."""
