"""WebAssembly components: typed by WIT, called with Python values."""

from echelon.runtime.component.values import Err as Err
from echelon.runtime.component.values import Ok as Ok
from echelon.runtime.component.values import Resource as Resource
from echelon.runtime.component.values import Some as Some
from echelon.runtime.component.values import Variant as Variant

__all__ = ["Err", "Ok", "Resource", "Some", "Variant"]
