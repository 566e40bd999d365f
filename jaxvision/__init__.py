"""jaxvision: deep learning for computer vision, as functions to import and experiments to run."""


def __getattr__(name: str):
    """`jaxvision.load_run`, imported when asked for: `import jaxvision` alone stays instant."""
    if name == "load_run":
        from jaxvision.runs import load_run

        return load_run
    raise AttributeError(f"module 'jaxvision' has no attribute {name!r}")
