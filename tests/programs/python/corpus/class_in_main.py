import typing, dataclasses, enum
@dataclasses.dataclass
class P:
    x: 'typing.List[int]'
print(P([1]), P, typing.get_type_hints(P), P.__module__)
class E(enum.Enum):
    A = 1
print(E.A, repr(E.A), E.__module__)
import doctest
def f():
    """
    >>> 1 + 1
    3
    """
print(doctest.testmod())
