"""`pdf-pages/1`: SHA-256 of what the pages of a PDF show, whatever program saved the file.

The digest covers all that pages are drawn from: boxes, rotation, content, and the resources and
annotations that hang on a page, with the form and the layers of the document. It leaves out what
saving changes: the order, numbers and compression of objects, file ids, metadata, dates. How each
object enters it is docs/formats/canonical.md; the tree is hashed from below, so that an object that
is shared counts as if it were copied.
"""

from hashlib import sha256
from io import BytesIO
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, NullObject, StreamObject

from chopmark.client.canonical.errors import NotCanonicalError
from chopmark.client.canonical.pdf_values import hash_scalar, read_data, tagged

_LEFT_OUT: Final = frozenset(
    (
        *("/Parent", "/P", "/Metadata", "/PieceInfo", "/LastModified", "/ID", "/M", "/NM"),
        *("/StructParent", "/StructParents", "/Thumb", "/Popup", "/CreationDate", "/ModDate"),
    )
)
"""Keys that say nothing about what is seen, or point back up."""
_NOWHERE: Final = 1 << 30


def digest_pdf(data: bytes) -> bytes:
    """The canonical digest, 32 bytes.

    A stranger may have made the file, to keep its reader busy or fill his memory:
    `apart.digest_file` runs this in a process with limits.

    Args:
        data: a PDF file.

    Raises:
        NotCanonicalError: it has none: no PDF, locked by a password, or broken.
    """
    try:
        return _digest(_open(data))
    except NotCanonicalError:
        raise
    except (PyPdfError, ArithmeticError, LookupError, ValueError, TypeError) as error:
        raise NotCanonicalError(f"not a PDF that can be read: {error}") from None
    except (AssertionError, AttributeError, RecursionError) as error:
        raise NotCanonicalError(f"not a PDF that can be read: {error!r}") from None


def _open(data: bytes) -> PdfReader:
    reader = PdfReader(BytesIO(data), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise NotCanonicalError("the PDF is locked by a password")
    return reader


def _digest(reader: PdfReader) -> bytes:
    pages = list(reader.pages)
    references = [page.indirect_reference for page in pages]
    tree = _Tree({one.idnum: number for number, one in enumerate(references) if one is not None})
    root = reader.root_object
    made = sha256(b"chopmark/pdf-pages/1\n" + len(pages).to_bytes(8, "big"))
    for page in pages:
        made.update(tree.hash_page(page))
    for key in ("/AcroForm", "/OCProperties"):
        made.update(tree.hash(root.raw_get(key) if key in root else NullObject()))
    return made.digest()


class _Tree:
    """Hashes objects from below.

    Attributes:
        _pages: number of each page by its object number, for links to it.
        _known: hash of each object that leads back to none above it, by its object number.
        _above: depth of each object that is being hashed, by its object number.
        _back: the least depth that the objects hashed of late lead back to.
    """

    def __init__(self, pages: dict[int, int]) -> None:
        self._pages = pages
        self._known: dict[int, bytes] = {}
        self._above: dict[int, int] = {}
        self._back = _NOWHERE

    def hash_page(self, page: DictionaryObject) -> bytes:
        """A page; pypdf has given it what it inherits (ISO 32000-1 §7.7.3.4)."""
        values = {key: page.raw_get(key) for key in page if key != "/Contents"}
        values.setdefault("/CropBox", values.get("/MediaBox", NullObject()))
        if page.get("/Rotate", 0) == 0:
            values.pop("/Rotate", None)
        return tagged(b"page", self._hash_map(values) + sha256(_content(page)).digest())

    def hash(self, value: Any) -> bytes:
        """Any object, 32 bytes."""
        if isinstance(value, IndirectObject):
            return self._hash_reference(value)
        if isinstance(value, DictionaryObject):
            values = {key: value.raw_get(key) for key in value}
            if not isinstance(value, StreamObject):
                return self._hash_map(values)
            data = read_data(value, values)
            return tagged(b"stream", self._hash_map(values) + sha256(data).digest())
        if isinstance(value, ArrayObject):
            items = [self.hash(list.__getitem__(value, i)) for i in range(len(value))]
            return tagged(b"array", b"".join(items))
        return hash_scalar(value)

    def _hash_map(self, values: dict[str, Any]) -> bytes:
        """A dictionary, by the bytes of its keys; null says as much as no key (§7.3.7)."""
        hashes = {
            str(key).encode("utf-8", "surrogatepass"): self.hash(value)
            for key, value in values.items()
            if key not in _LEFT_OUT and not isinstance(value, NullObject)
        }
        pairs = [sha256(key).digest() + hashes[key] for key in sorted(hashes)]
        return tagged(b"map", b"".join(pairs))

    def _hash_reference(self, reference: IndirectObject) -> bytes:
        number = reference.idnum
        if number in self._pages:
            return tagged(b"page-number", self._pages[number].to_bytes(8, "big"))
        if number in self._known:
            return self._known[number]
        if number in self._above:
            depth = self._above[number]
            self._back = min(self._back, depth)
            return tagged(b"above", (len(self._above) - depth).to_bytes(8, "big"))
        return self._hash_new(number, reference.get_object())

    def _hash_new(self, number: int, value: Any) -> bytes:
        """An object that was not met before, or only on the way to those above it."""
        depth = self._above[number] = len(self._above)
        before, self._back = self._back, _NOWHERE
        made = self.hash(value)
        del self._above[number]
        if self._back >= depth:
            self._known[number] = made
            self._back = _NOWHERE
        self._back = min(before, self._back)
        return made


def _content(page: DictionaryObject) -> bytes:
    """What draws the page: where it is cut into streams, these are parted by white space."""
    found = page.get("/Contents", NullObject())
    parts = found if isinstance(found, ArrayObject) else [found]
    streams = [part.get_object() for part in parts]
    data = [_drawing(one) for one in streams if isinstance(one, StreamObject)]
    return b"\n".join(one.rstrip(b"\x00\t\n\x0c\r ") for one in data)


def _drawing(content: StreamObject) -> bytes:
    values = {key: content.raw_get(key) for key in content}
    data = read_data(content, values)
    if "/Filter" in values:
        raise NotCanonicalError("the content of a page is stored as if it were an image")
    return data
