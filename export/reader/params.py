"""Read the ``.params`` file of an exported network, with names as ``HybridBlock.export`` writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from export.errors import MalformedModelError
from gluon_lifted.errors import DataError
from gluon_lifted.params_file import parse_params as parse_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

PREFIXES = ("arg:", "aux:")


def parse_params(content: bytes | memoryview, where: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a ``.params`` file that ``HybridBlock.export`` wrote.

    Parameters
    ----------
    content : bytes-like
        Content of the file. The arrays are read-only views of it.
    where : str
        Name of the file, for messages.

    Returns
    -------
    dict
        Name without ``arg:`` or ``aux:`` -> array. If no name in a file has a prefix, names are kept.

    Raises
    ------
    MalformedModelError
        If the file is truncated, longer than it declares, of another format, or holds sparse arrays, unknown types,
        unnamed arrays or one name twice. Declared sizes are compared with the bytes that are left.
    """
    try:
        arrays = parse_arrays(memoryview(content), where)
    except DataError as error:
        raise MalformedModelError(str(error)) from None
    if not any(name.startswith(PREFIXES) for name in arrays):
        return arrays  # as `save_parameters` and hand-written scripts save them
    params: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if not name.startswith(PREFIXES):
            raise MalformedModelError(
                f"{where}: array {name!r:.100} does not start with 'arg:' or 'aux:', although others do. Save the "
                "network again."
            )
        if name[4:] in params:
            raise MalformedModelError(f"{where}: two arrays are named {name[4:]!r:.100}. Save the network again.")
        params[name[4:]] = array
    return params
