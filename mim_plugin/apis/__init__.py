"""One-call interfaces."""

from typing import Any

__all__ = ['inference', 'init_model', 'iter_inference']


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from mim_plugin.apis import one_call  # imports torch and mmengine's Runner, so only when asked for

    return getattr(one_call, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
