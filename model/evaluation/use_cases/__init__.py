"""Generated films with inserted advertisements, odd behaviour and chapters, for the recipes of ask-video."""
