"""Charts as static pictures: drawn here, so that a report needs no network and no megabytes of script."""
