"""Loading a PKCS#11 module, and starting it with locks (decision 12).

python-pkcs11 calls C_Initialize(NULL): by PKCS#11 v3.0 §5.4.1 that promises that one thread alone
will ever be in the module, and yet it lets go of the GIL in every call. SoftHSM then switches its
locks off, and two threads in it end in a segmentation fault; tpm2-pkcs11 gives errors. Here a
module is told CKF_OS_LOCKING_OK instead, through ctypes, on the very list of functions that
python-pkcs11 calls. ctypes lets go of the GIL too: in python-pkcs11 a C_Finalize that hangs stops
the whole process.

A module that hands each caller a list of its own (p11-kit) cannot be started so: what is told one
list is not told the other. Such a one has locks of its own, and is left to python-pkcs11.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import pkcs11._pkcs11 as binding
from pkcs11.exceptions import PKCS11Error

from chopmark.core.errors import ConfigurationError
from chopmark.hsm.errors import away, describe
from chopmark.hsm.faults import error_of
from chopmark.hsm.quirks import P11_KIT_CLIENT, UNCONNECTED

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - a class with a small initial

NO_SLOT: Final = (
    "its module has no slot: no device is there, or for p11-kit nobody listens at "
    "$P11_KIT_SERVER_ADDRESS"
)
OS_LOCKING_OK: Final = 0x0000_0002
"""CKF_OS_LOCKING_OK: the module may use the system's own locks."""
_OK: Final = 0


class _Arguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS."""

    _fields_ = (
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_char_p),
    )


class _Functions(ctypes.Structure):
    """The beginning of CK_FUNCTION_LIST."""

    _fields_ = (
        ("version", ctypes.c_ubyte * 2),
        ("initialize", ctypes.c_void_p),
        ("finalize", ctypes.c_void_p),
    )


_Call: Final = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)


class _Locking(binding.lib):
    """A module that is started with locks.

    Args:
        so: its path.
        functions: the module's one list of functions.
        reserved: the string that some modules want (NSS), or None.
    """

    _start: Callable[[int], int]
    _stop: Callable[[None], int]
    _arguments: _Arguments
    _running: bool

    def __new__(cls, so: str, functions: _Functions, reserved: bytes | None) -> Self:
        made = super().__new__(cls, so)  # type: ignore[call-arg]  # the stub does not tell
        made._start = _Call(functions.initialize)
        made._stop = _Call(functions.finalize)
        made._arguments = _Arguments(flags=OS_LOCKING_OK, reserved=reserved)
        made._running = False
        return made

    def __init__(self, so: str, _functions: _Functions, _reserved: bytes | None) -> None:
        super().__init__(so)

    def initialize(self) -> None:
        """C_Initialize, by which python-pkcs11 starts a module."""
        if self._running:
            return
        result = self._start(ctypes.addressof(self._arguments))
        if result != _OK:
            raise error_of(result)
        self._running = True

    def finalize(self) -> None:
        """C_Finalize; the module counts as stopped whatever it answers."""
        if self._running:
            self._running = False
            if (result := self._stop(None)) != _OK:
                raise error_of(result)


def load(path: str, reserved: str | None = None) -> "Library":
    """Load a module and start it.

    Args:
        path: absolute path of the shared library.
        reserved: a string that the module wants at its start, or None.

    Raises:
        ConfigurationError: `no-hsm-module` if there is no such file or it is no PKCS#11 module.
        TryAgainError: `hsm-away` if the module does not start.
    """
    if not Path(path).is_file():
        raise _no_module(f"there is no PKCS#11 module at {path}")
    try:
        functions = _shared_functions(path)
        if functions is None:
            return _load_plain(path)
        return _Locking(path, functions, reserved.encode() if reserved is not None else None)
    except (OSError, AttributeError) as error:
        raise _no_module(f"{path} is not a PKCS#11 module that loads here") from error
    except PKCS11Error as error:
        raise away(f"{path} does not start: {describe(error)}", error) from error


def _load_plain(path: str) -> "Library":
    library = binding.lib(path)
    if library.library_description == UNCONNECTED:
        library.finalize()
        library.unload()  # what it says of itself is asked once only
        raise away(NO_SLOT)
    return library


def _shared_functions(path: str) -> _Functions | None:
    """The list of functions that every caller gets; None if each gets another one."""
    if Path(path).name == P11_KIT_CLIENT:  # known to; and opened here, it would stay so for ever
        return None
    library = ctypes.CDLL(path)
    first, second = _ask_functions(library), _ask_functions(library)
    if ctypes.addressof(first) != ctypes.addressof(second):
        return None
    return first


def _ask_functions(library: ctypes.CDLL) -> _Functions:
    pointer = ctypes.POINTER(_Functions)()
    result = library.C_GetFunctionList(ctypes.byref(pointer))
    if result != _OK:
        raise error_of(result)
    return pointer.contents


def _no_module(message: str) -> ConfigurationError:
    return ConfigurationError("no-hsm-module", message, hint="see `module` under [hsm]")
