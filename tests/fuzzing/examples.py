"""How many examples the fuzzing takes: few, the same every time, or, with `--hypothesis-profile=long`, many others."""

from hypothesis import HealthCheck, settings

_SHORT = settings(derandomize=True, max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
EXAMPLES = settings.get_profile("long") if settings.get_current_profile_name() == "long" else _SHORT
