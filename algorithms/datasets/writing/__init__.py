"""Writing recorded experience: journals that lose nothing acknowledged, and the datasets that are made of them."""
